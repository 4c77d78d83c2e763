"""Tables of notifications in the registry's database. Times are ns since the epoch, UTC."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text

from hub.nodes.tables import METADATA

#: One row a message and channel, from the moment it is due: what is queued is sent again after a restart.
NOTIFICATIONS: Final = Table(
    "notifications",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("created_ns", BigInteger, nullable=False, index=True),
    Column("channel", String(64), nullable=False),
    Column("route", String(64), nullable=False),
    Column("occasion", String(16), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("failures", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("done_ns", BigInteger),
)
Index("notifications_by_outcome", NOTIFICATIONS.c.outcome, NOTIFICATIONS.c.created_ns)

#: Which alerts a message was about. No foreign key to these: they are dropped at another time.
NOTIFIED_ALERTS: Final = Table(
    "notified_alerts",
    METADATA,
    Column("notification", ForeignKey("notifications.id", ondelete="CASCADE"), primary_key=True),
    Column("alert", BigInteger, primary_key=True, index=True),
)

#: What each channel knows of each alert that it will hear more of.
NOTIFY_TOLD: Final = Table(
    "notify_told",
    METADATA,
    Column("alert", BigInteger, primary_key=True),
    Column("channel", String(64), primary_key=True),
    Column("route", String(64), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("first_ns", BigInteger, nullable=False),
    Column("last_ns", BigInteger, nullable=False),
)
