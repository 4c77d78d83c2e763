"""``shell`` with real processes: what runs, what must not, and what is left afterwards."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.commanding import Bench, run_commands
from tests.support.mosquitto import Mosquitto
from tests.support.processes import is_running
from tests.support.waiting import eventually, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Prints its pid and those of a child, of one in a session of its own, and of one whose parent has ended; all ignore
#: SIGTERM, so that only SIGKILL ends them.
STUBBORN = """
trap '' TERM
sleep 300 & echo child $!
setsid sh -c 'trap "" TERM; echo session $$; exec sleep 300' &
sh -c 'setsid sh -c "trap \\"\\" TERM; echo orphan \\$\\$; exec sleep 300" & exit 0'
echo self $$
sleep 300
"""
INJECTIONS = [
    "; touch {canary}", "$(touch {canary})", "`touch {canary}`", "| touch {canary}", "&& touch {canary}",
    "\n touch {canary}", "x' ; touch {canary} ; '", 'x" ; touch {canary} ; "', "$IFS touch {canary}", "> {canary}",
]  # fmt: skip


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("mosquitto")) as running:
        yield running


def shell(**named: dict[str, Any]) -> dict[str, Any]:
    return {"shell": {name.replace("_", "-"): line for name, line in named.items()}}


def send(bench: Bench, request_id: str, name: str, timeout: float = 20, **args: object) -> None:
    payload = {"id": request_id, "args": {"name": name, **args}, "timeout": timeout}
    bench.send("shell", json.dumps(payload))


def pids(text: str) -> dict[str, int]:
    """``{"child": 12, …}`` from lines of output."""
    return {words[0]: int(words[1]) for line in text.splitlines() if len(words := line.split()) == 2}


def test_output_comes_in_order_and_the_exit_code_is_told(broker: Mosquitto, tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        send(bench, "s1", "count")
        final = await bench.final("/s1")
        assert bench.output("/s1") == "".join(f"{number}\n" for number in range(1, 20_001))
        assert [reply["n"] for reply in bench.replies("/s1")] == list(range(len(bench.replies("/s1"))))
        assert (final["state"], final["code"]) == ("done", 0)
        send(bench, "s2", "wrong")
        final = await bench.final("/s2")
        assert (final["state"], final["code"]) == ("failed", 3)
        assert bench.output("/s2", "stderr") == "no\n"

    lines = shell(count={"run": ["seq", "20000"]}, wrong={"run": ["echo no >&2; exit 3"], "script": True})
    run_commands(broker, test, state=tmp_path, **lines)


@pytest.mark.parametrize("text", INJECTIONS)
def test_no_argument_reaches_a_shell(broker: Mosquitto, tmp_path: Path, text: str) -> None:
    async def test(bench: Bench) -> None:
        value = text.format(canary=tmp_path / "canary")
        for name in ("plain", "script"):
            send(bench, name, name, x=value)
            assert (await bench.final(f"/{name}"))["state"] == "done"
            assert bench.output(f"/{name}") == f"[{value}]\n"
        assert not (tmp_path / "canary").exists()

    anything = {"x": r"(?s).*"}
    lines = shell(
        plain={"run": ["printf", r"[%s]\n", "{x}"], "args": anything},
        script={"run": [r'printf "[%s]\n" "$x"'], "script": True, "args": anything},
    )
    run_commands(broker, test, state=tmp_path, **lines)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"name": "df", "path": "/etc; id"}, "does not match"),
        ({"name": "df", "path": "/etc\n"}, "does not match"),
        ({"name": "df", "path": "/e\x00tc"}, "does not match"),
        ({"name": "df"}, "path missing; it takes path"),
        ({"name": "df", "path": "/", "x": 1}, "no x here"),
        ({"name": "df", "path": ["/"]}, "must be text or a number"),
        ({"name": "any", "x": "--output=/etc/passwd"}, "read as an option"),
        ({"name": "rm"}, "no command line 'rm' here; there are any, df"),
        ({}, "name"),
    ],
)
def test_only_what_the_settings_name_is_run(
    broker: Mosquitto, tmp_path: Path, args: dict[str, object], words: str
) -> None:
    async def test(bench: Bench) -> None:
        bench.send("shell", json.dumps({"id": "r1", "args": args}))
        final = await bench.final("/r1")
        assert final["state"] == "refused"
        assert words in final["result"]["error"]

    lines = shell(
        df={"run": ["df", "{path}"], "args": {"path": "/[a-z]*"}}, any={"run": ["ls", "{x}"], "args": {"x": ".*"}}
    )
    run_commands(broker, test, state=tmp_path, **lines)


def test_a_time_limit_ends_every_process_that_was_started(broker: Mosquitto, tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        send(bench, "k1", "stubborn", timeout=1)
        await eventually(lambda: len(pids(bench.output("/k1"))) == 4)
        started = pids(bench.output("/k1"))
        assert all(is_running(pid) for pid in started.values())
        final = await bench.final("/k1")
        assert final["state"] == "timeout"
        assert "processes_left" not in final["result"]
        assert {name: pid for name, pid in started.items() if is_running(pid)} == {}

    run_commands(broker, test, state=tmp_path, **shell(stubborn={"run": [STUBBORN], "script": True}))


def test_a_cancelled_command_ends_at_once_with_all_it_started(broker: Mosquitto, tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        send(bench, "k1", "sleep")
        await eventually(lambda: pids(bench.output("/k1")))
        bench.send("cancel", '{"id":"c1","args":{"id":"k1"}}')
        assert (await bench.final("/c1"))["state"] == "done"
        final = await bench.final("/k1")
        assert (final["state"], final["result"]["cancelled"]) == ("failed", True)
        assert not is_running(pids(bench.output("/k1"))["self"])

    run_commands(broker, test, state=tmp_path, **shell(sleep={"run": ["echo self $$; sleep 300"], "script": True}))


def test_what_a_program_leaves_in_the_background_ends_with_it(broker: Mosquitto, tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        send(bench, "b1", "daemon")
        assert (await bench.final("/b1"))["state"] == "done"
        assert not is_running(pids(bench.output("/b1"))["left"])

    lines = shell(daemon={"run": ["setsid sleep 300 & echo left $!"], "script": True})
    run_commands(broker, test, state=tmp_path, **lines)


def test_output_is_bounded_and_the_result_says_how_much_is_missing(broker: Mosquitto, tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        send(bench, "o1", "much")
        final = await bench.final("/o1")
        assert len(bench.output("/o1")) == 100_000
        assert final["state"] == "done"
        assert final["result"] == {"output_bytes": 100_000, "truncated_bytes": 1_900_000}

    lines = shell(much={"run": ["head", "-c", "2000000", "/dev/zero"]})
    run_commands(broker, test, state=tmp_path, max_output_bytes=100_000, **lines)


def test_characters_are_not_torn_and_bytes_that_are_none_do_no_harm(broker: Mosquitto, tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        send(bench, "u1", "umlauts")
        await bench.final("/u1")
        assert bench.output("/u1") == "x" + 40_000 * "ü" + "\ufffd"

    (tmp_path / "text").write_bytes(("x" + 40_000 * "ü").encode() + b"\xff")
    run_commands(broker, test, state=tmp_path, **shell(umlauts={"run": ["cat", str(tmp_path / "text")]}))


def test_a_program_sees_nothing_of_the_agents_environment(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IOTHUB_MQTT__PASSWORD", "secret")

    async def test(bench: Bench) -> None:
        send(bench, "e1", "env")
        await bench.final("/e1")
        names = {line.partition("=")[0] for line in bench.output("/e1").splitlines()}
        assert names == {"PATH", "LANG", "HOME", "USER"}

    run_commands(broker, test, state=tmp_path, **shell(env={"run": ["env"]}))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change to another user")
def test_a_command_line_runs_as_the_user_that_is_set(broker: Mosquitto, tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        send(bench, "w1", "who")
        assert (await bench.final("/w1"))["state"] == "done"
        assert bench.output("/w1").split() == ["nobody", "nogroup"]
        send(bench, "w2", "nobody-there")
        final = await bench.final("/w2")
        assert final["state"] == "failed"
        assert "no-such-user" in final["result"]["error"]

    who = {"run": ["id -un; id -Gn"], "script": True, "user": "nobody"}
    run_commands(broker, test, state=tmp_path, **shell(who=who, nobody_there={"run": ["id"], "user": "no-such-user"}))


def test_a_program_that_is_not_there_fails_with_a_word(broker: Mosquitto, tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        send(bench, "m1", "missing")
        final = await bench.final("/m1")
        assert final["state"] == "failed"
        assert "no-such-program could not be started: " in final["result"]["error"]
        assert "No such file" in final["result"]["error"]

    run_commands(broker, test, state=tmp_path, **shell(missing={"run": ["no-such-program"]}))


def test_a_program_that_a_signal_ended_says_which(broker: Mosquitto, tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        send(bench, "g1", "segv")
        final = await bench.final("/g1")
        assert (final["state"], final["result"]["error"]) == ("failed", "ended by signal 11")

    run_commands(broker, test, state=tmp_path, **shell(segv={"run": ["kill -11 $$"], "script": True}))


def test_a_stop_during_the_grace_of_a_time_limit_leaves_no_process(broker: Mosquitto, tmp_path: Path) -> None:
    pid = 0

    async def test(bench: Bench) -> None:
        nonlocal pid
        send(bench, "k1", "stubborn", timeout=1)
        await eventually(lambda: pids(bench.output("/k1")))
        pid = pids(bench.output("/k1"))["self"]
        await eventually(lambda: f"TERM {pid}" in bench.output("/k1"), what="the time limit has passed")

    line = 'trap "echo TERM $$" TERM; echo self $$; while true; do sleep 1; done'
    run_commands(broker, test, state=tmp_path, **shell(stubborn={"run": [line], "script": True}))
    wait_until(lambda: not is_running(pid), what="it ends")
