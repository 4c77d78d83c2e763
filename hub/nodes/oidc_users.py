"""Users whom an OpenID Connect issuer vouches for: made at their first login, changed by each further one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import delete, func, insert, select, update

from hub.nodes.callers import Role
from hub.nodes.tables import TOKENS, USERS
from hub.nodes.user_tables import ACCESS, OIDC_USERS

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from hub.nodes.database import Database
    from hub.nodes.revision import Revision


class NameTaken(Exception):  # noqa: N818  the name says what the caller is told
    """Somebody else has this name here; nothing was changed."""


class Admitted(msgspec.Struct, frozen=True):
    """A user after a login."""

    name: str
    #: What the journal says: ``user added``, ``user changed``; empty: all was so before.
    change: str


class OidcUsers:
    """In the registry's database; every call may raise ``RegistryError``. ``revision`` is that of all users."""

    def __init__(self, database: Database, revision: Revision) -> None:
        self._database = database
        self._revision = revision

    async def admit(
        self, issuer: str, subject: str, name: str, role: Role, now_ns: int, *, groups: Collection[str] | None
    ) -> Admitted:
        """Make or change the user that is ``subject`` of ``issuer``; it keeps the name of its first login.

        ``groups``: access groups; None: they stay. Administrators see all nodes.

        Raises:
            NameTaken: a user of that name is somebody else, whatever the case of its letters.
        """

        def work(connection: Connection) -> Admitted:
            found = _user(connection, issuer, subject)
            if found is None:
                if connection.execute(select(USERS.c.name).where(func.lower(USERS.c.name) == name.lower())).first():
                    raise NameTaken(name)
                row = {"name": name, "password_hash": None, "role": role, "created_ns": now_ns}
                connection.execute(insert(USERS).values(row))
                connection.execute(insert(OIDC_USERS).values(user=name, issuer=issuer, subject=subject))
                _set_groups(connection, name, role, groups)
                return Admitted(name, "user added")
            was = connection.execute(select(USERS.c.role).where(USERS.c.name == found)).scalar_one()
            if was != role:
                connection.execute(update(USERS).where(USERS.c.name == found).values(role=role))
            regrouped = _set_groups(connection, found, role, groups)
            return Admitted(found, "user changed" if was != role or regrouped else "")

        admitted = await self._database.run(work)
        if admitted.change:
            self._revision.changed()
        return admitted

    async def turn_out(self, issuer: str, subject: str) -> tuple[str, int] | None:
        """End all tokens of whom the issuer gives no right any more; name and how many, None where there is no user."""

        def work(connection: Connection) -> tuple[str, int] | None:
            found = _user(connection, issuer, subject)
            if found is None:
                return None
            return found, connection.execute(delete(TOKENS).where(TOKENS.c.user == found)).rowcount

        gone = await self._database.run(work)
        self._revision.changed()
        return gone


def _user(connection: Connection, issuer: str, subject: str) -> str | None:
    mine = (OIDC_USERS.c.issuer == issuer, OIDC_USERS.c.subject == subject)
    found: str | None = connection.execute(select(OIDC_USERS.c.user).where(*mine)).scalar_one_or_none()
    return found


def _set_groups(connection: Connection, user: str, role: Role, groups: Collection[str] | None) -> bool:
    """Whether that changed anything."""
    was = connection.execute(select(ACCESS.c.groups).where(ACCESS.c.user == user)).scalar_one_or_none()
    wanted = None if role is Role.ADMIN else was if groups is None else sorted(set(groups))
    if wanted == was:
        return False
    connection.execute(delete(ACCESS).where(ACCESS.c.user == user))
    if wanted is not None:
        connection.execute(insert(ACCESS).values(user=user, groups=wanted))
    return True
