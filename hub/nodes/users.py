"""Users, their passwords (argon2id), opaque tokens (SHA-256 of random text) and the audit of logins."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from typing import TYPE_CHECKING, Final, TypeVar

from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, func, insert, select, update

from hub.nodes.callers import Caller, Role, Scope
from hub.nodes.revision import Revision
from hub.nodes.tables import LOGINS, TOKENS, USERS
from hub.nodes.user_tables import ACCESS, TOKEN_FACTS, nodes_in

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from argon2 import PasswordHasher
    from sqlalchemy import Connection

    from hub.nodes.database import Database

_T = TypeVar("_T")

#: Makes tokens easy to find where they must not be (logs, repositories).
_TOKEN_PREFIX: Final = "iothub_"  # noqa: S105  not a secret
_LOGINS_KEPT_NS: Final = 90 * 86_400 * 1_000_000_000
_LONGEST_NAME: Final = 64
#: In place of a user where somebody tried a token that there is not; no user can be called so.
NO_USER: Final = "(token)"


class LastAdmin(Exception):  # noqa: N818  the name says what the caller is told
    """Nobody could log in as an administrator any more."""


class Users:
    """Users and tokens in the registry's database; every call may raise ``RegistryError``.

    ``revision`` says when anything changed that a token's holder may do.
    """

    def __init__(self, database: Database, hasher: PasswordHasher) -> None:
        self._database = database
        self._hasher = hasher
        self.revision = Revision()
        #: Groups → the nodes in them, while nothing changes.
        self._members: dict[frozenset[str], frozenset[str]] = {}
        self._members_of = self.revision.next()
        #: Verified when the user does not exist, so that both answers take equally long.
        self._decoy = self._hasher.hash(secrets.token_urlsafe())
        #: One hash needs 64 MiB and a core for some 50 ms.
        self._one_at_a_time = asyncio.Semaphore(1)

    # -- users ------------------------------------------------------------------------------------------------------

    async def add(
        self, name: str, password: str | None, role: Role, now_ns: int, *, groups: Collection[str] | None = None
    ) -> bool:
        """Add a user; False when there is one of that name.

        Args:
            name: that nobody has.
            password: None: it can hold tokens only.
            role: what it may.
            now_ns: when.
            groups: of the nodes that it sees; None: it sees all.
        """
        encoded = await self._hash(password) if password is not None else None

        def work(connection: Connection) -> bool:
            if connection.execute(select(USERS.c.name).where(USERS.c.name == name)).first() is not None:
                return False
            row = {"name": name, "password_hash": encoded, "role": role, "created_ns": now_ns}
            connection.execute(insert(USERS).values(row))
            _set_groups(connection, name, groups)
            return True

        return await self._database.run(work)

    async def change(
        self, name: str, *, role: Role | None = None, groups: Collection[str] | None = None, every_node: bool = False
    ) -> bool:
        """Change role or access groups; what is None stays. False when there is no such user.

        Whoever becomes an administrator, or gets ``every_node``, sees all nodes. Tokens that there are may from now on
        what the user may.

        Raises:
            LastAdmin: nothing was changed.
        """

        def work(connection: Connection) -> bool:
            was = connection.execute(select(USERS.c.role).where(USERS.c.name == name)).scalar_one_or_none()
            if was is None:
                return False
            if role is not None:
                connection.execute(update(USERS).where(USERS.c.name == name).values(role=role))
                _check_admins(connection)
            if groups is not None or every_node or role is Role.ADMIN:
                _set_groups(connection, name, None if every_node or role is Role.ADMIN else groups)
            return True

        return await self._changing(work)

    async def remove(self, name: str) -> bool:
        """Remove a user with all its tokens; False when there is none of that name.

        Raises:
            LastAdmin: nothing was changed.
        """

        def work(connection: Connection) -> bool:
            connection.execute(delete(TOKENS).where(TOKENS.c.user == name))
            gone = connection.execute(delete(USERS).where(USERS.c.name == name)).rowcount > 0
            _check_admins(connection)
            return gone

        return await self._changing(work)

    async def count(self) -> int:
        """How many users there are."""
        return await self._database.run(
            lambda connection: connection.execute(select(func.count()).select_from(USERS)).scalar_one()
        )

    async def set_password(self, name: str, password: str) -> bool:
        """Change a password and revoke all tokens of the user; False when there is no such user."""
        encoded = await self._hash(password)

        def work(connection: Connection) -> bool:
            connection.execute(delete(TOKENS).where(TOKENS.c.user == name))
            changed = connection.execute(update(USERS).where(USERS.c.name == name).values(password_hash=encoded))
            return changed.rowcount > 0

        return await self._changing(work)

    async def check_password(self, name: str, password: str) -> Role | None:
        """Role of the user when the password is right, else None; as slow for unknown users as for known ones."""

        def work(connection: Connection) -> tuple[str | None, str] | None:
            found = connection.execute(select(USERS.c.password_hash, USERS.c.role).where(USERS.c.name == name)).first()
            return (found.password_hash, found.role) if found is not None else None

        encoded, role = await self._database.run(work) or (None, None)
        async with self._one_at_a_time:
            right = await asyncio.to_thread(self._verify, encoded or self._decoy, password)
        return Role(role) if right and encoded is not None and role is not None else None

    async def record_login(self, name: str, address: str, *, accepted: bool, now_ns: int) -> None:
        """Write one line of the audit."""
        row = {
            "at_ns": now_ns,
            "user": name[:_LONGEST_NAME].replace("\x00", ""),
            "address": address[:_LONGEST_NAME],
            "accepted": accepted,
        }
        await self._database.run(lambda connection: connection.execute(insert(LOGINS).values(row)).close())

    # -- tokens -----------------------------------------------------------------------------------------------------

    async def issue(
        self,
        user: str,
        scope: Scope,
        now_ns: int,
        expires_ns: int | None,
        *,
        name: str = "",
        address: str = "",
        session: bool = True,
    ) -> str:
        """Make a token; only its hash is kept. See ``TOKEN_FACTS`` for the last three."""
        token = _TOKEN_PREFIX + secrets.token_urlsafe(32)
        digest = _digest(token)
        row = {"sha256": digest, "user": user, "created_ns": now_ns, "expires_ns": expires_ns, "scope": scope}
        facts = {"sha256": digest, "session": session, "name": name, "address": address[:_LONGEST_NAME]}

        def work(connection: Connection) -> None:
            connection.execute(insert(TOKENS).values(row))
            connection.execute(insert(TOKEN_FACTS).values(facts))

        await self._database.run(work)
        return token

    async def holder(self, token: str, now_ns: int) -> Caller | None:
        """Who holds ``token``; None when it is unknown, revoked or expired."""
        digest, revision = _digest(token), self.revision.next()
        if revision is not self._members_of:
            self._members, self._members_of = {}, revision
        members = self._members
        chosen = (
            select(
                USERS.c.name,
                USERS.c.role,
                TOKENS.c.scope,
                TOKENS.c.expires_ns,
                TOKEN_FACTS.c.id,
                TOKEN_FACTS.c.session,
                ACCESS.c.groups,
            )
            .join(USERS, USERS.c.name == TOKENS.c.user)
            .outerjoin(TOKEN_FACTS, TOKEN_FACTS.c.sha256 == TOKENS.c.sha256)
            .outerjoin(ACCESS, ACCESS.c.user == USERS.c.name)
            .where(TOKENS.c.sha256 == digest)
        )

        def work(connection: Connection) -> Caller | None:
            row = connection.execute(chosen).first()
            if row is None or (row.expires_ns is not None and row.expires_ns <= now_ns):
                return None
            groups = frozenset(row.groups) if row.groups is not None else None
            if groups is not None and groups not in members:
                members[groups] = frozenset(connection.execute(nodes_in(groups)).scalars())
            return Caller(
                row.name,
                Role(row.role),
                Scope(row.scope),
                row.expires_ns,
                groups=groups,
                nodes=members[groups] if groups is not None else None,
                session=row.session is not False,
                token_id=row.id,
            )

        return await self._database.run(work)

    async def revoke(self, token: str) -> bool:
        """Make ``token`` invalid; False when it was unknown."""
        chosen = delete(TOKENS).where(TOKENS.c.sha256 == _digest(token))
        return await self._changing(lambda connection: connection.execute(chosen).rowcount > 0)

    async def revoke_number(self, number: int, user: str | None) -> str | None:
        """Make a token invalid by its number; its user, None when it is unknown or not that of ``user``."""

        def work(connection: Connection) -> str | None:
            mine = (TOKENS.c.user == user,) if user is not None else ()
            of = select(TOKENS.c.sha256, TOKENS.c.user).join(TOKEN_FACTS, TOKEN_FACTS.c.sha256 == TOKENS.c.sha256)
            found = connection.execute(of.where(TOKEN_FACTS.c.id == number, *mine)).first()
            if found is None:
                return None
            connection.execute(delete(TOKENS).where(TOKENS.c.sha256 == found.sha256))
            holder: str = found.user
            return holder

        return await self._changing(work)

    async def revoke_all(self, user: str) -> int:
        """Make all tokens of a user invalid; how many."""
        chosen = delete(TOKENS).where(TOKENS.c.user == user)
        return await self._changing(lambda connection: connection.execute(chosen).rowcount)

    async def maintain(self, now_ns: int) -> None:
        """Drop expired tokens and logins older than 90 days. The maintenance of the registry calls it."""

        def work(connection: Connection) -> None:
            connection.execute(delete(TOKENS).where(TOKENS.c.expires_ns <= now_ns))
            connection.execute(delete(LOGINS).where(LOGINS.c.at_ns < now_ns - _LOGINS_KEPT_NS))

        await self._database.run(work)

    # -- private ----------------------------------------------------------------------------------------------------

    async def _changing(self, work: Callable[[Connection], _T]) -> _T:
        result = await self._database.run(work)
        self.revision.changed()
        return result

    async def _hash(self, password: str) -> str:
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._hasher.hash, password)

    def _verify(self, encoded: str, password: str) -> bool:
        try:
            return self._hasher.verify(encoded, password)
        except (VerificationError, InvalidHashError):
            return False


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _set_groups(connection: Connection, user: str, groups: Collection[str] | None) -> None:
    connection.execute(delete(ACCESS).where(ACCESS.c.user == user))
    if groups is not None:
        connection.execute(insert(ACCESS).values(user=user, groups=sorted(set(groups))))


def _check_admins(connection: Connection) -> None:
    can_log_in = select(USERS.c.name).where(USERS.c.role == Role.ADMIN, USERS.c.password_hash.is_not(None))
    if connection.execute(can_log_in).first() is None:
        raise LastAdmin
