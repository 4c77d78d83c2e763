"""A registry from before there were alerts, notifications, joining and views opens, and gets their tables."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import TYPE_CHECKING

from sqlalchemy import inspect

from hub.alerts.book import AlertBook, AlertFilter
from hub.alerts.notify_records import NotificationBook
from hub.nodes.database import sqlite_url
from hub.nodes.registry import Registry
from tests.support.alerting import T0, office
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

#: As the first version made them, with rows.
OLD = """
CREATE TABLE logins (
    id INTEGER NOT NULL,
    at_ns BIGINT NOT NULL,
    user VARCHAR(64) NOT NULL,
    address VARCHAR(64) NOT NULL,
    accepted BOOLEAN NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX ix_logins_at_ns ON logins (at_ns);
CREATE TABLE nodes (
    node VARCHAR(64) NOT NULL,
    standing VARCHAR(16) NOT NULL,
    contact VARCHAR(16) NOT NULL,
    first_seen_ns BIGINT,
    last_seen_ns BIGINT,
    since_ns BIGINT,
    reason VARCHAR(200),
    connected_ns BIGINT,
    session VARCHAR(200),
    birth_ms BIGINT,
    version VARCHAR(200),
    outbox BOOLEAN NOT NULL,
    info JSON NOT NULL,
    PRIMARY KEY (node)
);
CREATE TABLE schema_version (
    version INTEGER NOT NULL,
    at_ns BIGINT NOT NULL,
    PRIMARY KEY (version)
);
CREATE TABLE users (
    name VARCHAR(64) NOT NULL,
    password_hash TEXT,
    role VARCHAR(16) NOT NULL,
    created_ns BIGINT NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE connections (
    id INTEGER NOT NULL,
    node VARCHAR(64) NOT NULL,
    connected_ns BIGINT NOT NULL,
    disconnected_ns BIGINT,
    reason_connected VARCHAR(200) NOT NULL,
    reason_disconnected VARCHAR(200),
    session VARCHAR(200),
    PRIMARY KEY (id),
    FOREIGN KEY(node) REFERENCES nodes (node) ON DELETE CASCADE
);
CREATE INDEX connections_by_node ON connections (node, id);
CREATE UNIQUE INDEX one_open_connection ON connections (node) WHERE disconnected_ns IS NULL;
CREATE TABLE node_groups (
    node VARCHAR(64) NOT NULL,
    name VARCHAR(64) NOT NULL,
    PRIMARY KEY (node, name),
    FOREIGN KEY(node) REFERENCES nodes (node) ON DELETE CASCADE
);
CREATE INDEX ix_node_groups_name ON node_groups (name);
CREATE TABLE tokens (
    sha256 VARCHAR(64) NOT NULL,
    user VARCHAR(64) NOT NULL,
    created_ns BIGINT NOT NULL,
    expires_ns BIGINT,
    scope VARCHAR(16) NOT NULL,
    PRIMARY KEY (sha256),
    FOREIGN KEY(user) REFERENCES users (name) ON DELETE CASCADE
);
CREATE INDEX ix_tokens_user ON tokens (user);
INSERT INTO schema_version VALUES (1, 1);
INSERT INTO nodes VALUES ('boiler', 'declared', 'never', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, '{}');
INSERT INTO node_groups VALUES ('boiler', 'cellar');
INSERT INTO users VALUES ('ann', NULL, 'admin', 1);
"""
NEW = {
    "alerts", "alert_changes", "silences", "notifications", "notified_alerts", "notify_told",
    "join_tokens", "joined", "views", "token_facts", "user_access",
}  # fmt: skip


def test_an_old_registry_keeps_its_rows_and_gets_the_new_tables(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.executescript(OLD)

    async def scenario() -> None:
        async with Registry(sqlite_url(path)) as registry:
            there = await registry.database.run(lambda connection: set(inspect(connection).get_table_names()))
            assert there >= NEW
            assert [row.node for row in await registry.everyone()] == ["boiler"]
            assert await registry.groups() == {"boiler": {"cellar"}}
            assert await AlertBook(registry.database).page(AlertFilter(), before=None, limit=1) == ([], 0)
            assert (await NotificationBook(registry.database).load()).told == ()

    asyncio.run(scenario())


def test_alerts_are_kept_in_it(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "hub.db")) as old:
        old.executescript(OLD)

    async def scenario() -> None:
        async with office(tmp_path) as made:
            made.fire()
            await eventually(lambda: made.told)
        async with office(tmp_path) as again:
            assert [(alert.node, alert.fired_ns) for alert in again.desk.now] == [("boiler", T0)]

    asyncio.run(scenario())
