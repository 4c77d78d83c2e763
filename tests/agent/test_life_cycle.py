"""What becomes of a command when it comes again, is replayed, or the connection or the agent ends meanwhile."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from agent.operators import check_for
from agent.remembered import Entry, Memory
from agent.reporter import now_ms
from tests.support.commanding import REPLIES, Bench, bench_on, run_commands
from tests.support.mosquitto import Mosquitto
from tests.support.node import collected, mqtt, run
from tests.support.waiting import eventually
from wire.connection import Connection
from wire.errors import SettingsError
from wire.messages import Command, encode
from wire.packets import Subscription
from wire.signing import new_key, public_text, sign

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = new_key()
OPERATORS = {"alice": public_text(KEY)}
NOW_MS = 1_763_750_000_000


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "mosquitto") as running:
        yield running


def test_a_request_that_comes_again_after_its_end_is_refused_and_not_run(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        for expected in (["accepted", "done"], ["accepted", "done", "refused"]):
            bench.send("collect", '{"id":"d1","args":{"collectors":["cpu"]}}')
            await eventually(lambda expected=expected: bench.states("/d1") == expected)  # type: ignore[misc]  # mypy has no types for defaults of a lambda
        assert bench.replies("/d1")[-1]["result"]["duplicate"] is True
        assert "not run again" in bench.replies("/d1")[-1]["result"]["error"]

    run_commands(broker, test)


def test_a_request_that_comes_again_while_it_runs_has_one_final_reply(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        for _ in range(3):
            bench.send("slow", '{"id":"d1","timeout":1}')
        bench.send("ping", '{"id":"after"}')
        await bench.final("/after")
        await bench.final("/d1")
        assert bench.states("/d1") == ["accepted", "output", "timeout"]
        assert bench.ran == ["slow"]

    run_commands(broker, test)


def test_ids_are_remembered_over_a_restart(broker: Mosquitto, tmp_path: Path) -> None:
    async def test() -> None:
        for expected in ("done", "refused"):
            async with bench_on(broker, tmp_path) as bench:
                bench.send("ping", '{"id":"p1"}')
                assert (await bench.final("/p1"))["state"] == expected

    run(test)


def test_output_is_complete_and_in_order_although_the_broker_was_away(broker: Mosquitto) -> None:
    # An operator whose session the broker keeps, so that nothing that it acknowledged goes to nobody.
    def operator() -> Connection:
        return Connection(mqtt(broker.port), client_id="op", clean_start=False, session_expiry_s=600)

    async def test(bench: Bench) -> None:
        async with operator() as away:
            await away.subscribe([Subscription("iot/v1/n1/reply/k1")])
        bench.send("loud", '{"id":"k1","timeout":20}')
        await eventually(lambda: bench.replies("/k1"))
        broker.stop()
        assert len(bench.replies("/k1")) < 900, "it is away while output is on its way"
        broker.start()
        replies: list[dict[str, Any]] = []
        async with operator() as back:
            async for message in back.messages():
                replies.append(json.loads(message.payload))
                if replies[-1]["state"] == "done":
                    break
        numbers = [reply["n"] for reply in replies]
        assert sorted(set(numbers)) == list(range(1002))
        assert numbers == sorted(numbers), "one that was sent again comes with the same number, and in order"
        texts = {reply["n"]: reply["data"] for reply in replies if reply["state"] == "output"}
        assert [int(text[:6]) for _, text in sorted(texts.items())] == list(range(1000))

    run_commands(broker, test)


def test_a_result_that_is_too_large_for_the_broker_fails_with_a_word(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "small", lines=["max_packet_size 200000"]) as broker:

        async def test(bench: Bench) -> None:
            bench.send("huge", '{"id":"h1"}')
            final = await bench.final("/h1")
            assert final["state"] == "failed"
            assert "too large" in final["result"]["error"]

        run_commands(broker, test)


def test_the_limit_of_commands_is_the_settings_and_cancel_is_always_taken(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        for number in range(3):
            bench.send("slow", f'{{"id":"s{number}"}}')
        assert "2 commands are running" in (await bench.final("/s2"))["result"]["error"]
        bench.send("cancel", '{"id":"c1","args":{"id":"s0"}}')
        assert (await bench.final("/s0"))["result"] == {"error": "cancelled by command", "cancelled": True}
        assert (await bench.final("/c1"))["state"] == "done"
        bench.send("cancel", '{"id":"c2","args":{"id":"s0"}}')
        assert (await bench.final("/c2"))["result"]["error"] == "no command with id 's0' runs here; there run s1"

    run_commands(broker, test, at_once=2)


def test_a_command_that_was_running_when_the_agent_was_killed_is_answered_at_the_next_start(
    broker: Mosquitto, tmp_path: Path
) -> None:
    def entry(key: str) -> Entry:
        return Entry(
            key=key, named=True, name="shell", accepted_ms=now_ms(), expires_ms=None, nonce=None, reply_id=key,
            topic=f"iot/v1/n1/reply/{key}", correlation=b"c7",
        )  # fmt: skip

    async def test() -> None:
        async with Memory(tmp_path / "commands.db", keep_s=3600, clock_ms=now_ms) as memory:
            for key in ("running", "ended", "told"):
                await memory.remember(entry(key))
            await memory.reserve("running", 100)
            for key in ("ended", "told"):
                await memory.finish(key, b'{"id":"ended","n":7,"state":"done"}')
            await memory.delivered("told")
        async with collected(broker, REPLIES) as replies, bench_on(broker, tmp_path) as bench:
            await eventually(lambda: len(bench.replies()) == 2)
            assert bench.replies("/ended") == [{"id": "ended", "n": 7, "state": "done"}]
            (failed,) = bench.replies("/running")
            assert (failed["state"], failed["n"]) == ("failed", 100)
            assert failed["result"]["error"] == "the agent restarted before the command was done"
            assert {reply.correlation_data for reply in replies} == {b"c7"}
            bench.send("ping", '{"id":"running"}')
            await eventually(lambda: bench.states("/running") == ["failed", "refused"])
        async with bench_on(broker, tmp_path) as bench:
            bench.send("ping", '{"id":"p2"}')
            await bench.final("/p2")
            assert {reply["id"] for reply in bench.replies()} == {"p2"}, "each of them is told once"

    run(test)


def test_what_changes_the_host_is_refused_while_nothing_can_be_remembered(broker: Mosquitto, tmp_path: Path) -> None:
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "commands.db").mkdir()

    async def test(bench: Bench) -> None:
        bench.send("interval", '{"id":"i1","args":{"collector":"cpu","seconds":5}}')
        final = await bench.final("/i1")
        assert final["state"] == "refused"
        assert "could run twice" in final["result"]["error"]
        bench.send("ping", '{"id":"p1"}')
        assert (await bench.final("/p1"))["state"] == "done"

    run_commands(broker, test, state=tmp_path / "blocked")


def test_a_damaged_file_is_kept_aside_and_commands_go_on(broker: Mosquitto, tmp_path: Path) -> None:
    (tmp_path / "commands.db").write_bytes(b"no database" * 1000)

    async def test(bench: Bench) -> None:
        bench.send("ping", '{"id":"p1"}')
        assert (await bench.final("/p1"))["state"] == "done"

    run_commands(broker, test, state=tmp_path)
    assert len(list(tmp_path.glob("commands.db.damaged-*"))) == 1


def test_what_was_forgotten_does_not_come_back_when_the_clock_is_set_back(tmp_path: Path) -> None:
    async def test() -> None:
        now_ms = NOW_MS
        path = tmp_path / "commands.db"

        def entry(key: str, expires_ms: int | None) -> Entry:
            return Entry(
                key=key, named=True, name="shell", accepted_ms=now_ms, expires_ms=expires_ms, nonce=f"alice {key}",
                reply_id=key, topic="t", correlation=None,
            )  # fmt: skip

        async with Memory(path, keep_s=86_400, clock_ms=lambda: now_ms) as memory:
            assert await memory.remember(entry("a", NOW_MS + 1000)) is None
            await memory.finish("a", b"{}")
            await memory.delivered("a")
        now_ms += 10_000_000
        async with Memory(path, keep_s=86_400, clock_ms=lambda: now_ms) as memory:
            await memory.remember(entry("b", None))
        with sqlite3.connect(path) as file:
            assert file.execute("SELECT key FROM commands").fetchall() == [("b",)]
        file.close()
        now_ms = NOW_MS
        async with Memory(path, keep_s=86_400, clock_ms=lambda: now_ms) as memory:
            assert "clock set back" in (await memory.remember(entry("a", NOW_MS + 1000)) or "")
            assert await memory.remember(entry("c", NOW_MS + 2000)) is None

    run(test)


def signed(request_id: str = "c1", *, node: str = "n1", name: str = "ping", expires: int = 60_000) -> Command:
    return sign(Command(id=request_id, expires=NOW_MS + expires), node, name, KEY, "alice")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (Command(id="c1", expires=NOW_MS + 60_000), "not signed"),
        (signed(node="n2"), "not one of operator 'alice' on this command for this node"),
        (signed(name="collect"), "not one of operator"),
        (msgspec.structs.replace(signed(), args={"x": 1}), "not one of operator"),
        (msgspec.structs.replace(signed(), operator="mallory"), "no key of operator 'mallory'"),
        (signed(expires=-1), "expired"),
        (signed(expires=8 * 86_400_000), "longer than this node remembers nonces"),
    ],
)
def test_a_node_with_operators_takes_only_what_they_signed_for_it(
    broker: Mosquitto, command: Command, words: str
) -> None:
    async def test(bench: Bench) -> None:
        bench.send("ping", encode(command).decode())
        final = await bench.final("/c1")
        assert final["state"] in ("refused", "expired")
        assert words in final["result"]["error"]
        bench.send("ping", encode(signed("good")).decode())
        assert (await bench.final("/good"))["state"] == "done"

    run_commands(broker, test, operators=OPERATORS, clock_ms=lambda: NOW_MS)


def test_a_captured_signed_command_is_not_run_again_under_any_id(broker: Mosquitto, tmp_path: Path) -> None:
    captured = encode(signed()).decode()

    async def test() -> None:
        for number in range(2):
            async with bench_on(broker, tmp_path, lambda: NOW_MS + 1000, operators=OPERATORS) as bench:
                bench.send("ping", captured)
                assert (await bench.final("/c1"))["state"] == ("done", "refused")[number]
                bench.send("ping", captured.replace('"c1"', '"c2"'))
                assert (await bench.final("/c2"))["state"] == "refused"

    run(test)


def test_keys_may_stand_in_files_and_wrong_ones_are_told_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "alice.pub"
    file.write_text(public_text(KEY) + "\n", encoding="ascii")
    check = check_for({"alice": str(file)}, "n1", keep_s=3600)
    assert check("ping", signed(), NOW_MS) == ("alice", None)
    with pytest.raises(SettingsError, match="32 bytes in base64") as error:
        check_for({"alice": "ed25519:AAAA", "bob": str(tmp_path / "none")}, "n1", keep_s=3600)
    assert "agent.commands.operators.bob" in str(error.value)
