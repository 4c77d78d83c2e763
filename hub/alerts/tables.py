"""Tables of the alerts in the registry's database. Times are ns since the epoch, UTC."""

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
    String,
    Table,
    Text,
)

from hub.nodes.tables import METADATA

_ID: Final = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER numbers itself there

#: What has fired; what is pending only is the engine's to remember.
ALERTS: Final = Table(
    "alerts",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("rule", String(128), nullable=False),
    Column("node", String(64), nullable=False, index=True),
    #: ``cpu.usage{core=0}``, for people; the three columns after it say the same for programs.
    Column("series", Text, nullable=False),
    Column("measurement", Text),
    Column("tags", JSON),
    Column("field", Text),
    Column("state", String(16), nullable=False, index=True),
    Column("severity", String(16), nullable=False),
    Column("worst", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("value", JSON),
    Column("started_ns", BigInteger, nullable=False),
    Column("fired_ns", BigInteger, nullable=False, index=True),
    Column("acknowledged_ns", BigInteger),
    Column("acknowledged_by", String(64)),
    Column("assignee", String(64)),
    Column("resolved_ns", BigInteger, index=True),
    Column("changed_ns", BigInteger, nullable=False),
    Column("flapping", Boolean, nullable=False),
    Column("broken", String(16)),
    Column("broken_detail", Text, nullable=False),
    #: ``changed_ns`` as it was when the retained state was last published and the points were last stored: what is
    #: behind after a crash is done again.
    Column("told_ns", BigInteger, nullable=False),
)

CHANGES: Final = Table(
    "alert_changes",
    METADATA,
    Column("alert", ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True),
    Column("at_ns", BigInteger, primary_key=True),
    Column("change", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("message", Text, nullable=False),
    #: Empty: the hub itself.
    Column("by", String(64), nullable=False),
    Column("why", Text, nullable=False),
)

SILENCES: Final = Table(
    "silences",
    METADATA,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("rule", String(128), nullable=False),
    Column("node", String(128), nullable=False),
    Column("starts_ns", BigInteger, nullable=False),
    Column("ends_ns", BigInteger, nullable=False, index=True),
    Column("by", String(64), nullable=False),
    Column("why", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("lifted_ns", BigInteger),
)

Index("alerts_by_rule", ALERTS.c.rule, ALERTS.c.node)
