"""Saved views: a page of the dashboard with its parameters under a name, for oneself or for everybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import delete, func, insert, or_, select, update

from hub.nodes.view_tables import VIEWS

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hub.nodes.database import Database

#: Of one owner.
MOST_VIEWS: Final = 200


class TooManyViews(Exception):  # noqa: N818  the name says what the caller is told
    """The owner has :data:`MOST_VIEWS` already."""


class ViewRow(msgspec.Struct, frozen=True):
    """One saved view."""

    id: int
    owner: str
    page: str
    name: str
    params: Mapping[str, Sequence[str]]
    shared: bool
    saved_ns: int


class Views:
    """Views in the registry's database; every call may raise ``RegistryError``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, view: ViewRow) -> ViewRow:
        """Save; what the owner has under this name for this page is replaced. ``id`` of ``view`` is not read.

        Raises:
            TooManyViews: the owner must remove one first.
        """
        return await self._database.run(lambda connection: _save(connection, view))

    async def offered(self, user: str, page: str | None, *, after: int = 0, limit: int = 100) -> list[ViewRow]:
        """The views of ``user``, and those that others share, in order of their numbers."""
        chosen = (
            select(VIEWS)
            .where(or_(VIEWS.c.owner == user, VIEWS.c.shared), VIEWS.c.id > after)
            .order_by(VIEWS.c.id)
            .limit(limit)
        )
        if page is not None:
            chosen = chosen.where(VIEWS.c.page == page)
        return await self._database.run(
            lambda connection: [ViewRow(**row) for row in connection.execute(chosen).mappings()]
        )

    async def view(self, number: int) -> ViewRow | None:
        """One view; None when there is none."""

        def work(connection: Connection) -> ViewRow | None:
            row = connection.execute(select(VIEWS).where(VIEWS.c.id == number)).mappings().one_or_none()
            return ViewRow(**row) if row is not None else None

        return await self._database.run(work)

    async def remove(self, number: int) -> bool:
        """Remove a view; False when there is none."""
        return await self._database.run(
            lambda connection: connection.execute(delete(VIEWS).where(VIEWS.c.id == number)).rowcount > 0
        )


def _save(connection: Connection, view: ViewRow) -> ViewRow:
    values: dict[str, Any] = {name: value for name, value in msgspec.structs.asdict(view).items() if name != "id"}
    known = connection.execute(
        select(VIEWS.c.id).where(VIEWS.c.owner == view.owner, VIEWS.c.page == view.page, VIEWS.c.name == view.name)
    ).scalar_one_or_none()
    if known is not None:
        connection.execute(update(VIEWS).where(VIEWS.c.id == known).values(values))
        return msgspec.structs.replace(view, id=known)
    of_owner = select(func.count()).select_from(VIEWS).where(VIEWS.c.owner == view.owner)
    if connection.execute(of_owner).scalar_one() >= MOST_VIEWS:
        raise TooManyViews(view.owner)
    made = connection.execute(insert(VIEWS).values(values)).inserted_primary_key
    if made is None:
        raise AssertionError("one row was inserted")
    return msgspec.structs.replace(view, id=int(made[0]))
