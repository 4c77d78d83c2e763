"""Users, tokens and logins as they are listed. Reading only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import func, select

from hub.nodes.callers import Caller, Role, Scope
from hub.nodes.tables import LOGINS, TOKENS, USERS
from hub.nodes.user_tables import ACCESS, OIDC_USERS, TOKEN_FACTS, nodes_in

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hub.nodes.database import Database


class UserRow(msgspec.Struct, frozen=True):
    """A user as administrators see it. Times are ns."""

    name: str
    role: Role
    created_ns: int
    #: Whether one can log in as it.
    has_password: bool
    #: Access groups; None: sees all nodes.
    groups: tuple[str, ...] | None
    tokens: int
    last_login_ns: int | None
    #: The OpenID Connect issuer that vouches for it; None: it is known here alone.
    issuer: str | None = None


class Login(msgspec.Struct, frozen=True):
    """One attempt to log in, or to use a token that there is not."""

    id: int
    at_ns: int
    #: As given; :data:`NO_USER` for a token.
    user: str
    address: str
    accepted: bool


class TokenRow(msgspec.Struct, frozen=True):
    """A token without its text. Times are ns."""

    id: int
    user: str
    name: str
    scope: Scope
    session: bool
    address: str
    created_ns: int
    expires_ns: int | None


class UserLists:
    """What there is in the registry's database; every call may raise ``RegistryError``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def users(self) -> list[UserRow]:
        """All users, by name."""
        tokens = select(TOKENS.c.user, func.count().label("n")).group_by(TOKENS.c.user).subquery()
        logins = (
            select(LOGINS.c.user, func.max(LOGINS.c.at_ns).label("at_ns"))
            .where(LOGINS.c.accepted)
            .group_by(LOGINS.c.user)
            .subquery()
        )
        chosen = (
            select(USERS, ACCESS.c.groups, OIDC_USERS.c.issuer, tokens.c.n, logins.c.at_ns)
            .outerjoin(ACCESS, ACCESS.c.user == USERS.c.name)
            .outerjoin(OIDC_USERS, OIDC_USERS.c.user == USERS.c.name)
            .outerjoin(tokens, tokens.c.user == USERS.c.name)
            .outerjoin(logins, logins.c.user == USERS.c.name)
            .order_by(USERS.c.name)
        )

        def work(connection: Connection) -> list[UserRow]:
            return [
                UserRow(
                    name=row.name,
                    role=Role(row.role),
                    created_ns=row.created_ns,
                    has_password=row.password_hash is not None,
                    groups=tuple(row.groups) if row.groups is not None else None,
                    tokens=row.n or 0,
                    last_login_ns=row.at_ns,
                    issuer=row.issuer,
                )
                for row in connection.execute(chosen)
            ]

        return await self._database.run(work)

    async def caller(self, name: str) -> Caller | None:
        """What a user may now, whatever a token of it may; None: there is no such user."""
        chosen = select(USERS.c.role, ACCESS.c.groups).outerjoin(ACCESS, ACCESS.c.user == USERS.c.name)

        def work(connection: Connection) -> Caller | None:
            row = connection.execute(chosen.where(USERS.c.name == name)).first()
            if row is None:
                return None
            groups = frozenset(row.groups) if row.groups is not None else None
            nodes = frozenset(connection.execute(nodes_in(groups)).scalars()) if groups is not None else None
            return Caller(name, Role(row.role), Scope.FULL, None, groups=groups, nodes=nodes)

        return await self._database.run(work)

    async def password_mark(self, name: str) -> str | None:
        """What differs after each change of a user's password; None: it has none, or there is no such user."""
        chosen = select(USERS.c.password_hash).where(USERS.c.name == name)
        return await self._database.run(lambda connection: connection.execute(chosen).scalar_one_or_none())

    async def tokens(self, now_ns: int, user: str | None = None) -> list[TokenRow]:
        """Tokens that are valid, by number; of one user, or of all."""
        chosen = select(*TOKENS.c, *(c for c in TOKEN_FACTS.c if c is not TOKEN_FACTS.c.sha256)).join(
            TOKEN_FACTS, TOKEN_FACTS.c.sha256 == TOKENS.c.sha256
        )
        chosen = chosen.where(TOKENS.c.expires_ns.is_(None) | (TOKENS.c.expires_ns > now_ns))
        if user is not None:
            chosen = chosen.where(TOKENS.c.user == user)

        def work(connection: Connection) -> list[TokenRow]:
            return [
                TokenRow(
                    row.id,
                    row.user,
                    row.name,
                    Scope(row.scope),
                    row.session,
                    row.address,
                    row.created_ns,
                    row.expires_ns,
                )
                for row in connection.execute(chosen.order_by(TOKEN_FACTS.c.id))
            ]

        return await self._database.run(work)

    async def logins(
        self, *, user: str | None = None, accepted: bool | None = None, before: int | None = None, limit: int = 100
    ) -> list[Login]:
        """Logins, newest first, with numbers below ``before``."""
        chosen = select(LOGINS)
        if user is not None:
            chosen = chosen.where(LOGINS.c.user == user)
        if accepted is not None:
            chosen = chosen.where(LOGINS.c.accepted == accepted)
        if before is not None:
            chosen = chosen.where(LOGINS.c.id < before)
        chosen = chosen.order_by(LOGINS.c.id.desc()).limit(limit)
        return await self._database.run(
            lambda connection: [Login(**row) for row in connection.execute(chosen).mappings()]
        )
