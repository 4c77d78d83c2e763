from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from hub.runfile import is_alive
from hub.supervise.child import LONGEST_LINE_BYTES, ChildSpec
from hub.supervise.logs import ChildLogs
from hub.supervise.supervisor import STABLE_S, ChildFailed, Supervisor, how_it_ended
from tests.support.processes import is_running
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from pathlib import Path

    from hub.supervise.child import Child

READY = "import sys,time; print('ready', flush=True)\n"
SLEEPS = READY + "time.sleep(600)\n"


async def says_ready(child: Child) -> None:
    await child.line(lambda line: line == "ready")


def spec(name: str, code: str, **limits: float) -> ChildSpec:
    return ChildSpec(name, (sys.executable, "-c", code), ready=says_ready, **limits)  # type: ignore[arg-type]  # limits


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class Stage:
    """A supervisor, and what it said."""

    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        self.shown: list[str] = []
        self.clock = Clock()
        self.logs = ChildLogs(folder / "log", self.shown.append)
        self.supervisor = Supervisor(
            self.logs, self.said.append, environment=dict(os.environ), clock=self.clock, sleep=self.clock.sleep
        )

    def play(self, act: Callable[[Supervisor], Coroutine[None, None, None]]) -> list[str]:
        """Run ``act``, stop; names of those that had to be killed."""

        async def run() -> list[str]:
            with self.logs:
                try:
                    await act(self.supervisor)
                finally:
                    killed = await self.supervisor.stop()
                return killed

        return asyncio.run(run())


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def pid_of(supervisor: Supervisor, name: str) -> int:
    pid = supervisor.pid(name)
    assert pid is not None
    return pid


def test_start_returns_when_the_child_is_ready_and_stop_ends_it(stage: Stage) -> None:
    pids = []

    async def act(supervisor: Supervisor) -> None:
        await supervisor.start(spec("one", SLEEPS))
        pids.append(pid_of(supervisor, "one"))
        assert is_alive(pids[0])

    assert stage.play(act) == []
    assert not is_alive(pids[0])
    assert stage.said == []


def test_a_child_that_dies_is_started_again_and_that_is_said_with_exit_code_and_last_lines(stage: Stage) -> None:
    async def act(supervisor: Supervisor) -> None:
        await supervisor.start(spec("one", "print('last words')\n" + SLEEPS))
        first = pid_of(supervisor, "one")
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: any("runs again" in text for text in stage.said))
        assert pid_of(supervisor, "one") != first

    stage.play(act)
    assert stage.said[0].startswith("one: ended unexpectedly (killed by SIGKILL); started again in ")
    assert stage.said[0].endswith("\n  last words")
    assert stage.said[1].startswith("one: runs again (pid ")


def test_delays_grow_while_a_child_keeps_dying(stage: Stage) -> None:
    async def act(supervisor: Supervisor) -> None:
        await supervisor.start(spec("one", READY + "sys.exit(3)"))
        await eventually(lambda: len(stage.clock.slept) >= 4)

    stage.play(act)
    assert [round(delay, 2) for delay in stage.clock.slept[:4]] == sorted(round(d, 2) for d in stage.clock.slept[:4])
    assert stage.clock.slept[3] > 2 * stage.clock.slept[0]
    assert "ended unexpectedly (exit code 3)" in stage.said[0]
    assert "in a row" in "".join(stage.said)


def test_a_stable_run_makes_the_next_delay_short_again(stage: Stage, tmp_path: Path) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)

    async def act(supervisor: Supervisor) -> None:
        await supervisor.start(spec("one", READY + f"open({str(go)!r}).read(); sys.exit(3)"))
        for run in range(3):
            count = len(stage.clock.slept)
            if run == 2:
                stage.clock.now += STABLE_S
            await asyncio.to_thread(go.write_text, "")
            await eventually(lambda count=count: len(stage.clock.slept) > count)  # type: ignore[misc]

    stage.play(act)
    first, second, after_stable = stage.clock.slept[:3]
    assert second > first
    assert after_stable < second


def test_a_child_that_ends_before_it_was_ready_fails_the_start(stage: Stage) -> None:
    async def act(supervisor: Supervisor) -> None:
        await supervisor.start(spec("one", "import sys; sys.exit('port 1883 is taken')"))

    with pytest.raises(
        ChildFailed, match=r"one: ended before it was ready \(exit code 1\)\n.*port 1883 is taken"
    ) as failed:
        stage.play(act)
    assert failed.value.code == 1


def test_a_child_that_is_not_ready_in_time_is_ended_and_fails_the_start(stage: Stage) -> None:
    async def act(supervisor: Supervisor) -> None:
        await supervisor.start(spec("one", "import time; time.sleep(600)", start_limit_s=0.2))

    with pytest.raises(ChildFailed, match="not ready within 0 s"):
        stage.play(act)


def test_a_program_that_is_missing_fails_the_start(stage: Stage) -> None:
    async def act(supervisor: Supervisor) -> None:
        await supervisor.start(ChildSpec("one", ("/no/such/program",)))

    with pytest.raises(ChildFailed, match="one: /no/such/program: No such file or directory"):
        stage.play(act)


def test_the_last_started_stops_first(stage: Stage, tmp_path: Path) -> None:
    order = tmp_path / "order"
    code = (
        "import signal, sys, time\n"
        "def bye(*_):\n    open({path!r}, 'a').write({name!r}); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, bye)\nprint('ready', flush=True)\ntime.sleep(600)\n"
    )

    async def act(supervisor: Supervisor) -> None:
        for name in "abc":
            await supervisor.start(spec(name, code.format(path=str(order), name=name)))

    stage.play(act)
    assert order.read_text() == "cba"


def test_a_child_that_ignores_sigterm_is_killed_after_its_limit_and_named(stage: Stage) -> None:
    async def act(supervisor: Supervisor) -> None:
        stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPS
        await supervisor.start(spec("one", stubborn, stop_limit_s=0.1))

    assert stage.play(act) == ["one"]


def test_what_a_child_started_itself_ends_with_it(stage: Stage) -> None:
    pids: list[int] = []

    async def act(supervisor: Supervisor) -> None:
        code = "import subprocess,sys,time\np=subprocess.Popen(['sleep','600'])\nprint(p.pid)\n" + SLEEPS
        child_spec = ChildSpec("one", (sys.executable, "-uc", code), ready=remember_pid(pids))
        await supervisor.start(child_spec)
        assert is_alive(pids[0])

    stage.play(act)
    asyncio.run(eventually(lambda: not is_running(pids[0])))


def remember_pid(pids: list[int]) -> Callable[[Child], Awaitable[None]]:
    async def ready(child: Child) -> None:
        pids.append(int(await child.line(str.isdigit)))

    return ready


def test_kill_ends_all_at_once_while_a_stop_waits(stage: Stage) -> None:
    async def act(supervisor: Supervisor) -> None:
        stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPS
        await supervisor.start(spec("one", stubborn, stop_limit_s=600))
        stopping = asyncio.create_task(supervisor.stop())
        await asyncio.sleep(0)
        supervisor.kill()
        await asyncio.wait_for(stopping, 60)

    stage.play(act)


def test_every_line_is_in_the_log_file_and_warnings_are_shown(stage: Stage) -> None:
    quiet, loud = '{"level":"info","event":"quiet"}', '{"level":"warning","event":"loud","node":"a"}'
    code = f"print({quiet!r}); print({loud!r})\n"

    async def act(supervisor: Supervisor) -> None:
        await supervisor.start(spec("one", code + SLEEPS))

    stage.play(act)
    assert stage.logs.path("one").read_text().count("\n") == 2
    assert stage.shown == ["one | loud node=a"]


def test_a_line_without_end_is_cut_and_does_not_fill_memory(stage: Stage) -> None:
    async def act(supervisor: Supervisor) -> None:
        await supervisor.start(spec("one", "import sys; sys.stdout.write('x' * 1_000_000 + '\\n')\n" + SLEEPS))

    stage.play(act)
    assert max(map(len, stage.logs.path("one").read_text().splitlines())) <= LONGEST_LINE_BYTES


@pytest.mark.parametrize(
    ("code", "words"), [(3, "exit code 3"), (-9, "killed by SIGKILL"), (-200, "killed by signal 200")]
)
def test_exit_codes_are_put_in_words(code: int, words: str) -> None:
    assert how_it_ended(code) == words


def test_the_line_that_says_ready_may_hold_a_secret_and_is_not_logged(stage: Stage) -> None:
    async def act(supervisor: Supervisor) -> None:
        await supervisor.start(spec("one", "print('before')\n" + SLEEPS))

    stage.play(act)
    assert stage.logs.path("one").read_text() == "before\n"


def test_an_explanation_stands_instead_of_the_last_lines(stage: Stage) -> None:
    def explain(code: int, lines: Sequence[str]) -> str:
        return f"port taken ({code}, {lines})"

    argv = (sys.executable, "-c", "import sys; print('bind failed'); sys.exit(1)")

    async def act(supervisor: Supervisor) -> None:
        await supervisor.start(ChildSpec("one", argv, ready=says_ready, explain=explain))

    with pytest.raises(ChildFailed, match=r"^one: port taken \(1, \['bind failed'\]\)$"):
        stage.play(act)


def test_a_child_that_is_ready_before_anybody_asks_is_ready(stage: Stage) -> None:
    async def asks_late(child: Child) -> None:
        await eventually(lambda: len(child._held or ()) == 2)
        await says_ready(child)

    async def act(supervisor: Supervisor) -> None:
        code = "import time; print('hello'); print('ready', flush=True); time.sleep(600)"
        await supervisor.start(ChildSpec("one", (sys.executable, "-c", code), ready=asks_late))

    stage.play(act)
    assert stage.logs.path("one").read_text() == "hello\n"
