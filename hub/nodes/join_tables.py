"""Tables of joining in the registry's database. Times are ns since the epoch, UTC."""

from __future__ import annotations

from typing import Final

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Integer, String, Table

from hub.nodes.tables import METADATA

_ID: Final = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER numbers itself there

JOIN_TOKENS: Final = Table(
    "join_tokens",
    METADATA,
    Column("id", _ID, primary_key=True, autoincrement=True),
    #: SHA-256 of the token, hexadecimal; tokens are random, so that no salt is needed.
    Column("sha256", String(64), nullable=False, unique=True),
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger, nullable=False),
    Column("uses_left", Integer, nullable=False),
    #: The only node that may join with it; null: any that has no account yet.
    Column("node", String(64)),
    Column("groups", JSON, nullable=False),
    Column("by", String(64), nullable=False),
)

#: Nodes that joined by themselves, and with what they may leave; gone with the node.
JOINED: Final = Table(
    "joined",
    METADATA,
    Column("node", ForeignKey("nodes.node", ondelete="CASCADE"), primary_key=True),
    Column("leave_sha256", String(64), nullable=False),
    Column("joined_ns", BigInteger, nullable=False),
    Column("address", String(64), nullable=False),
    Column("token", BigInteger, nullable=False),
)
