"""Tables of the registry. Times are ns since the epoch, UTC; nothing here is particular to SQLite."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

METADATA: Final = MetaData()
_ID: Final = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER numbers itself there

SCHEMA: Final = Table(
    "schema_version",
    METADATA,
    Column("version", Integer, primary_key=True),
    Column("at_ns", BigInteger, nullable=False),
)

NODES: Final = Table(
    "nodes",
    METADATA,
    Column("node", String(64), primary_key=True),
    Column("standing", String(16), nullable=False),
    Column("contact", String(16), nullable=False),
    Column("first_seen_ns", BigInteger),
    Column("last_seen_ns", BigInteger),
    Column("since_ns", BigInteger),
    Column("reason", String(200)),
    Column("connected_ns", BigInteger),
    Column("session", String(200)),
    Column("birth_ms", BigInteger),
    Column("version", String(200)),
    Column("outbox", Boolean, nullable=False),
    Column("info", JSON, nullable=False),
)

NODE_GROUPS: Final = Table(
    "node_groups",
    METADATA,
    Column("node", ForeignKey("nodes.node", ondelete="CASCADE"), primary_key=True),
    Column("name", String(64), primary_key=True, index=True),
)

CONNECTIONS: Final = Table(
    "connections",
    METADATA,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("node", ForeignKey("nodes.node", ondelete="CASCADE"), nullable=False),
    Column("connected_ns", BigInteger, nullable=False),
    Column("disconnected_ns", BigInteger),
    Column("reason_connected", String(200), nullable=False),
    Column("reason_disconnected", String(200)),
    Column("session", String(200)),
    Index("connections_by_node", "node", "id"),
)
_OPEN: Final = text("disconnected_ns IS NULL")
#: At most one open connection a node, whatever the code believes.
Index("one_open_connection", CONNECTIONS.c.node, unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN)

USERS: Final = Table(
    "users",
    METADATA,
    Column("name", String(64), primary_key=True),
    #: argon2id, encoded; null: this user cannot log in by password.
    Column("password_hash", Text),
    Column("role", String(16), nullable=False),
    Column("created_ns", BigInteger, nullable=False),
)

TOKENS: Final = Table(
    "tokens",
    METADATA,
    #: SHA-256 of the token, hexadecimal; tokens are random, so that no salt is needed.
    Column("sha256", String(64), primary_key=True),
    Column("user", ForeignKey("users.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_ns", BigInteger, nullable=False),
    #: Null: until it is revoked.
    Column("expires_ns", BigInteger),
    Column("scope", String(16), nullable=False),
)

LOGINS: Final = Table(
    "logins",
    METADATA,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("at_ns", BigInteger, nullable=False, index=True),
    #: As given: it need not exist.
    Column("user", String(64), nullable=False),
    Column("address", String(64), nullable=False),
    Column("accepted", Boolean, nullable=False),
)
