"""Control messages become transitions that are durable before anybody hears of them, each once and in order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hub.control import session_of
from hub.nodes.database import RegistryError, sqlite_url
from hub.nodes.model import Change, Contact
from hub.nodes.registry import Registry
from tests.support.hotpath import NOW_NS, Rig, Sent, status
from tests.support.links import run
from wire.messages import Command, NodeState, Reply, ReplyState, Status
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hub.nodes.model import Transition


def observe(rig: Rig, *messages: Sent, heard: Sequence[str] = (), at_ns: int = NOW_NS) -> None:
    rig.clock.ns = at_ns
    group = rig.decode(*messages)
    assert group.rejects == []
    rig.controls.observe(group.controls, heard, at_ns)


def changes(transitions: Sequence[Transition]) -> list[tuple[str, Change]]:
    return [(transition.node, transition.change) for transition in transitions]


BORN = [("n1", Change.NEW), ("n1", Change.ONLINE)]


def test_a_birth_is_written_and_then_announced() -> None:
    async def test() -> None:
        rig = Rig()
        observe(rig, status("online", session="s1"))
        assert rig.announced == []
        await rig.controls.flush()
        assert changes(rig.registry.transitions) == changes(rig.announced) == BORN
        assert rig.announced[1].session == "s1"
        await rig.controls.flush()
        assert changes(rig.registry.transitions) == BORN

    run(test)


def test_nodes_that_only_publish_data_are_known_too() -> None:
    async def test() -> None:
        rig = Rig()
        observe(rig, heard=["n1"])
        await rig.controls.flush()
        assert changes(rig.announced) == BORN

    run(test)


def test_commands_replies_and_deleted_states_change_nobody() -> None:
    async def test() -> None:
        rig = Rig()
        observe(
            rig,
            Sent("iot/v1/n1/cmd/x", b""),
            Sent("iot/v1/n1/reply/7", b'{"id":"7","n":0,"state":"done"}'),
            Sent("iot/v1/n1/status", b"", retain=True),
        )
        await rig.controls.flush()
        assert rig.announced == []

    run(test)


def test_a_retained_birth_that_is_known_is_no_sign_of_life() -> None:
    async def test() -> None:
        rig = Rig()
        observe(rig, status("online", session="s1", ts=5))
        observe(rig, status("online", session="s1", ts=5, retain=True), at_ns=NOW_NS + NS_PER_S)
        await rig.controls.flush()
        assert changes(rig.announced) == BORN
        assert rig.presence.last_seen_ns("n1") == NOW_NS

    run(test)


def test_what_could_not_be_written_is_kept_in_order_and_not_announced() -> None:
    async def test() -> None:
        rig = Rig()
        rig.registry.errors = [RegistryError("locked")]
        observe(rig, status("online"))
        with pytest.raises(RegistryError):
            await rig.controls.flush()
        assert rig.announced == []
        observe(rig, status("offline"), at_ns=NOW_NS + NS_PER_S)
        await rig.controls.flush()
        assert changes(rig.registry.transitions) == changes(rig.announced) == [*BORN, ("n1", Change.OFFLINE)]

    run(test)


def test_ticker_and_pipeline_flush_at_once_and_each_transition_is_written_once() -> None:
    async def test() -> None:
        rig = Rig()
        gate = asyncio.Event()
        record = rig.registry.record

        async def slowly(transitions: Sequence[Transition], last_seen: Mapping[str, int]) -> None:
            await gate.wait()
            await record(transitions, last_seen)

        rig.controls._registry.record = slowly  # type: ignore[method-assign]  # a disk that takes its time
        observe(rig, status("online", node="n1"))
        flushes = [asyncio.create_task(rig.controls.flush()) for _ in range(2)]
        await asyncio.sleep(0)
        observe(rig, status("online", node="n2"))
        flushes.append(asyncio.create_task(rig.controls.flush()))
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*flushes)
        assert changes(rig.registry.transitions) == [*BORN, ("n2", Change.NEW), ("n2", Change.ONLINE)]
        assert changes(rig.announced) == changes(rig.registry.transitions)

    run(test)


def test_births_of_very_many_nodes_at_once_are_announced_in_order_and_others_get_their_turn() -> None:
    nodes = [f"n{i}" for i in range(2_000)]

    async def test() -> None:
        rig = Rig()
        seen: list[int] = []

        async def beside() -> None:
            while len(rig.announced) < 2 * len(nodes):
                seen.append(len(rig.announced))
                await asyncio.sleep(0)

        observe(rig, heard=nodes)
        other = asyncio.create_task(beside())
        await rig.controls.flush()
        await other
        assert [each.node for each in rig.announced if each.change is Change.ONLINE] == nodes
        assert changes(rig.registry.transitions) == changes(rig.announced)
        assert len(set(seen)) > 5

    run(test)


def test_silence_is_found_while_the_hub_hears_the_broker_and_not_otherwise() -> None:
    async def test() -> None:
        rig = Rig()
        observe(rig, status("online"))
        later_ns = NOW_NS + 91 * NS_PER_S
        await rig.controls.tick(later_ns, connected=False)
        assert rig.presence.contact("n1") is Contact.ONLINE
        await rig.controls.tick(later_ns, connected=True)
        assert changes(rig.announced) == [*BORN, ("n1", Change.SILENT)]

    run(test)


def test_when_nodes_were_last_seen_is_written_every_ten_seconds() -> None:
    async def test() -> None:
        rig = Rig()
        written = []
        for second in range(25):
            now_ns = NOW_NS + second * NS_PER_S
            observe(rig, heard=["n1"], at_ns=now_ns)
            await rig.controls.tick(now_ns, connected=True)
            written.append((rig.registry.last_seen["n1"] - NOW_NS) // NS_PER_S)
        assert sorted(set(written)) == [0, 10, 20]

    run(test)


def test_last_seen_times_that_could_not_be_written_are_tried_again_at_the_next_tick() -> None:
    async def test() -> None:
        rig = Rig()
        observe(rig, heard=["n1"])
        await rig.controls.flush()
        rig.registry.errors = [RegistryError("locked")]
        with pytest.raises(RegistryError):
            await rig.controls.tick(NOW_NS, connected=True)
        observe(rig, heard=["n2"])
        await rig.controls.tick(NOW_NS + NS_PER_S, connected=True)
        assert rig.registry.last_seen == {"n1": NOW_NS, "n2": NOW_NS}

    run(test)


def test_last_seen_times_of_very_many_nodes_are_written_in_parts_so_that_others_get_their_turn() -> None:
    nodes = [f"n{i}" for i in range(12_000)]

    async def test() -> None:
        rig = Rig()
        sizes: list[int] = []
        write = rig.registry.record

        async def record(transitions: Sequence[Transition], last_seen: Mapping[str, int]) -> None:
            sizes.append(len(last_seen))
            if len(sizes) == 3:
                raise RegistryError("the disk is full")
            await write(transitions, last_seen)

        observe(rig, heard=nodes)
        await rig.controls.flush()
        rig.registry.record = record  # type: ignore[method-assign]
        with pytest.raises(RegistryError):
            await rig.controls.tick(NOW_NS, connected=True)
        assert (sizes, len(rig.registry.last_seen)) == ([5000, 5000, 2000], 10_000)
        await rig.controls.tick(NOW_NS, connected=True)
        assert (sizes, set(rig.registry.last_seen)) == ([5000, 5000, 2000, 2000], set(nodes))

    run(test)


def test_a_clock_that_is_set_back_does_not_stop_last_seen_times() -> None:
    async def test() -> None:
        rig = Rig()
        await rig.controls.tick(NOW_NS + 3600 * NS_PER_S, connected=True)
        observe(rig, heard=["n1"])
        await rig.controls.tick(NOW_NS, connected=True)
        assert rig.registry.last_seen == {"n1": NOW_NS}

    run(test)


def test_transitions_outlive_a_restart(tmp_path: Path) -> None:
    async def test() -> None:
        rig = Rig()
        async with Registry(sqlite_url(tmp_path / "hub.db")) as registry:
            rig.controls._registry = registry
            observe(rig, status("online", session="s1", outbox=True, info={"os": "x"}))
            observe(rig, status("offline", session="s1", reason="shutdown"), at_ns=NOW_NS + 5 * NS_PER_S)
            await rig.controls.flush()
        async with Registry(sqlite_url(tmp_path / "hub.db")) as registry:
            row = await registry.node("n1")
        assert row is not None
        assert (row.node, row.contact, row.reason, row.session) == ("n1", Contact.OFFLINE, "shutdown", "s1")
        assert (row.outbox, row.info) == (True, {"os": "x"})

    run(test)


def test_only_a_birth_names_a_session() -> None:
    assert session_of(Status(NodeState.ONLINE, session="s")) == "s"
    assert session_of(Status(NodeState.ONLINE)) is None
    assert session_of(Status(NodeState.OFFLINE, session="s")) is None
    assert session_of(Command()) is session_of(Reply("7", 0, ReplyState.DONE)) is session_of(None) is None
