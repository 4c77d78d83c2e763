from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from hub.nodes.database import RegistryError
from hub.nodes.model import Change, Contact, Standing, Transition, Why
from hub.nodes.presence import Presence
from hub.nodes.registry import NodeFilter, Registry
from tests.support.births import T0, S, online
from wire.messages import NodeState, Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from sqlalchemy import Connection, Engine

    Opened = Callable[[], AbstractAsyncContextManager[Registry]]


def test_a_node_that_connected_is_kept_with_what_its_birth_said(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as registry:
            await registry.record(online("dev"), {"dev": T0 + S})
            row = await registry.node("dev")
            assert row is not None
            assert (row.standing, row.contact, row.reason) == (Standing.NEW, Contact.ONLINE, Why.BIRTH)
            assert (row.first_seen_ns, row.last_seen_ns, row.connected_ns) == (T0, T0 + S, T0)
            assert (row.session, row.version, row.outbox, row.info) == ("s1", "1", True, {"os": "x"})

    asyncio.run(scenario())


def test_connects_and_ends_within_one_batch_each_give_a_row(opened: Opened) -> None:
    async def scenario() -> None:
        presence, batch = Presence(90), []
        for turn in range(3):
            batch += online("dev", T0 + turn * 10 * S, presence=presence)
            gone = Status(NodeState.OFFLINE, session="s1", reason="shutdown")
            batch += presence.observe_status("dev", gone, T0 + (turn * 10 + 5) * S, retained=False)
        async with opened() as registry:
            await registry.record(batch, {})
            rows = await registry.connections("dev")
            assert [row.connected_ns for row in rows] == [T0 + 20 * S, T0 + 10 * S, T0]
            assert {(row.disconnected_ns or 0) - row.connected_ns for row in rows} == {5 * S}
            assert {row.reason_disconnected for row in rows} == {"shutdown"}

    asyncio.run(scenario())


def test_an_end_in_a_later_batch_closes_the_row_of_an_earlier_one(opened: Opened) -> None:
    async def scenario() -> None:
        presence = Presence(90)
        async with opened() as registry:
            await registry.record(online("dev", presence=presence), {})
            await registry.record(presence.tick(T0 + 100 * S), {})
            (row,) = await registry.connections("dev")
            assert (row.disconnected_ns, row.reason_disconnected) == (T0, Why.SILENCE)
            node = await registry.node("dev")
            assert node is not None
            assert (node.contact, node.connected_ns) == (Contact.SILENT, None)

    asyncio.run(scenario())


def test_a_birth_after_data_names_the_session_of_the_open_connection(opened: Opened) -> None:
    async def scenario() -> None:
        presence = Presence(90)
        async with opened() as registry:
            await registry.record(presence.observe_data(["dev"], T0), {})
            await registry.record(online("dev", T0 + S, session="s9", presence=presence), {})
            (row,) = await registry.connections("dev")
            assert (row.session, row.reason_connected, row.disconnected_ns) == ("s9", Why.DATA, None)

    asyncio.run(scenario())


def test_a_connection_left_open_by_a_crash_is_closed_when_the_node_connects_again(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as registry:
            await registry.record(online("dev", T0), {})
            await registry.record(online("dev", T0 + 60 * S), {})  # of a presence that knew nothing
            newest, oldest = await registry.connections("dev")
            assert newest.disconnected_ns is None
            row = await registry.node("dev")
            assert row is not None
            assert row.first_seen_ns == T0
            assert (oldest.disconnected_ns, oldest.reason_disconnected) == (T0 + 60 * S, Why.UNRECORDED)

    asyncio.run(scenario())


def test_a_thousand_nodes_that_reconnect_at_once_are_one_commit(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        presence, batch = Presence(90), []
        for number in range(1000):
            batch += online(f"n{number}", presence=presence)
        async with opened() as registry:
            calls = 0
            transact = registry.database._transact

            def counting(engine: Engine, work: Callable[[Connection], Any]) -> Any:
                nonlocal calls
                calls += 1
                return transact(engine, work)

            monkeypatch.setattr(registry.database, "_transact", counting)
            await registry.record(batch, presence.take_last_seen())
            assert calls == 1
            _, total = await registry.nodes(NodeFilter(contact=Contact.ONLINE))
            assert total == 1000

    asyncio.run(scenario())


def test_a_batch_that_fails_leaves_nothing_behind(opened: Opened) -> None:
    async def scenario() -> None:
        broken = Transition("dev", Change.ONLINE, 2**70, "too large for the database")
        async with opened() as registry:
            with pytest.raises((RegistryError, OverflowError)):
                await registry.record([*online("other"), broken], {})
            assert await registry.node("other") is None

    asyncio.run(scenario())


def test_after_a_restart_presence_goes_on_where_it_stopped(opened: Opened) -> None:
    async def scenario() -> None:
        first = Presence(90)
        async with opened() as registry:
            await registry.record(online("dev", presence=first) + first.observe_data(["other"], T0), {"dev": T0 + S})
        async with opened() as registry:
            second = Presence(90)
            second.restore(await registry.everyone(), T0 + 60 * S)
            again = Status(NodeState.ONLINE, ts=T0 // 1_000_000, session="s1")
            assert second.observe_status("dev", again, T0 + 61 * S, retained=True) == []
            assert second.observe_data(["dev", "other"], T0 + 62 * S) == []
            await registry.record((), second.take_last_seen())
            assert len(await registry.connections("dev")) == 1
            row = await registry.node("dev")
            assert row is not None
            assert row.last_seen_ns == T0 + 62 * S

    asyncio.run(scenario())


def test_nodes_are_paged_in_order_and_filtered(opened: Opened) -> None:
    async def scenario() -> None:
        presence = Presence(90)
        async with opened() as registry:
            await registry.record(presence.observe_data([f"n{number}" for number in range(7)], T0), {})
            await registry.declare("Pump-1", ["cellar", "all"])
            await registry.declare("n3", ["all"])
            page, total = await registry.nodes(NodeFilter(), limit=3)
            assert ([row.node for row in page], total) == (["Pump-1", "n0", "n1"], 8)
            page, _ = await registry.nodes(NodeFilter(), after="n1", limit=3)
            assert [row.node for row in page] == ["n2", "n3", "n4"]
            for chosen, expected in [
                (NodeFilter(standing=Standing.DECLARED), ["Pump-1", "n3"]),
                (NodeFilter(contact=Contact.NEVER), ["Pump-1"]),
                (NodeFilter(text="PUMP"), ["Pump-1"]),
                (NodeFilter(text="%"), []),
                (NodeFilter(text="_"), []),
                (NodeFilter(group="cellar"), ["Pump-1"]),
                (NodeFilter(group="all", text="n"), ["n3"]),
            ]:
                page, total = await registry.nodes(chosen)
                assert ([row.node for row in page], total) == (expected, len(expected))
            page, _ = await registry.nodes(NodeFilter(group="cellar"))
            assert page[0].groups == ("all", "cellar")

    asyncio.run(scenario())


def test_a_node_declared_after_it_appeared_keeps_its_history(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as registry:
            await registry.record(online("dev"), {})
            assert await registry.declare("dev") is True
            assert await registry.declare("dev", ["ignored"]) is False
            row = await registry.node("dev")
            assert row is not None
            assert (row.standing, row.contact, row.first_seen_ns, row.groups) == (
                Standing.DECLARED,
                Contact.ONLINE,
                T0,
                (),
            )

    asyncio.run(scenario())


def test_a_removed_node_leaves_nothing(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as registry:
            await registry.declare("dev", ["g"])
            await registry.record(online("dev"), {})
            assert await registry.remove("dev") is True
            assert await registry.remove("dev") is False
            assert await registry.node("dev") is None
            assert await registry.connections("dev") == []
            await registry.record((), {"dev": T0})  # heard of late: no row to update
            assert await registry.node("dev") is None

    asyncio.run(scenario())


def test_a_huge_inventory_is_replaced_by_a_note(opened: Opened) -> None:
    async def scenario() -> None:
        status = Status(NodeState.ONLINE, info={"junk": "x" * 100_000})
        async with opened() as registry:
            await registry.record(Presence(90).observe_status("dev", status, T0, retained=False), {})
            row = await registry.node("dev")
            assert row is not None
            assert list(row.info) == ["left_out"]

    asyncio.run(scenario())


@pytest.mark.parametrize("name", ["'; DROP TABLE nodes; --", "%", "é" * 64, 'a"b', "\U0001f4a9"])
def test_hostile_names_are_only_names(opened: Opened, name: str) -> None:
    async def scenario() -> None:
        async with opened() as registry:
            await registry.record(Presence(90).observe_data([name], T0), {name: T0})
            row = await registry.node(name)
            assert row is not None
            assert row.node == name
            assert (await registry.nodes(NodeFilter(text=name)))[1] == 1

    asyncio.run(scenario())
