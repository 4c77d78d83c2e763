"""Table of saved views in the registry's database. Times are ns since the epoch, UTC."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    UniqueConstraint,
)

from hub.nodes.tables import METADATA

_ID: Final = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER numbers itself there

#: Gone with their owner.
VIEWS: Final = Table(
    "views",
    METADATA,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("owner", ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
    #: Page of the dashboard, e.g. ``explore``.
    Column("page", String(32), nullable=False),
    Column("name", String(64), nullable=False),
    #: Query parameters of the page: name → values.
    Column("params", JSON, nullable=False),
    #: Whether everybody is offered it.
    Column("shared", Boolean, nullable=False),
    Column("saved_ns", BigInteger, nullable=False),
    UniqueConstraint("owner", "page", "name"),
)
