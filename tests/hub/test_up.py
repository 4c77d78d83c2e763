"""The life of ``iothub up``, with fake children; the real ones are in ``tests/e2e``."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support.processes import is_running
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Running:
    """A fake ``up`` that is ready, and the ids of its children."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.children: dict[str, int] = {}
        assert process.stdout is not None
        for line in process.stdout:
            if line == "ready\n":
                return
            name, pid = line.split()
            self.children[name] = int(pid)
        raise AssertionError(f"ended: {process.stderr.read() if process.stderr else ''}")

    def send(self, which: signal.Signals) -> None:
        self.process.send_signal(which)

    def said(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def expect(self, text: str) -> None:
        """Read what it says until ``text`` comes."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if text in line:
                return
        raise AssertionError(f"never said {text!r}")

    def gone(self) -> bool:
        return not any(map(is_running, self.children.values()))


@contextlib.contextmanager
def up(state: Path, *words: str) -> Iterator[Running]:
    argv = [sys.executable, "-m", "tests.support.fake_up", str(state), *words]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        running = None
        try:
            running = Running(process)
            yield running
        finally:
            process.kill()
            if running is not None:
                wait_until(running.gone, what="the keeper ends what the killed up leaves")


def test_sigterm_stops_the_last_started_first_and_exits_0(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        running.send(signal.SIGTERM)
        assert running.process.wait(60) == 0
        assert running.gone()
        assert (tmp_path / "order").read_text().split() == ["agent", "hub", "broker"]
        assert "stopped" in running.said()


def test_ctrl_c_stops_it_too(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        running.send(signal.SIGINT)
        assert running.process.wait(60) == 0
        assert running.gone()


def test_a_second_ctrl_c_kills_what_is_left(tmp_path: Path) -> None:
    with up(tmp_path, "stubborn") as running:
        running.send(signal.SIGINT)
        running.expect("stopping")
        running.send(signal.SIGINT)
        assert running.process.wait(60) == 1
        assert running.gone()
        assert "had to be killed: agent" in running.said()


def test_kill_9_of_up_leaves_no_orphan(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        running.process.kill()
        wait_until(running.gone, what="children are gone")
        assert sorted((tmp_path / "order").read_text().split()) == ["agent", "broker", "hub"], "they ended in order"


def test_only_one_up_runs_in_a_state_directory(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        argv = [sys.executable, "-m", "tests.support.fake_up", str(tmp_path)]
        second = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
        assert second.returncode == 1
        assert f"another `iothub up` (pid {running.process.pid}) uses the state directory" in second.stderr
        assert all(map(is_running, running.children.values()))


def test_up_starts_again_after_it_was_killed_and_ends_what_was_left(tmp_path: Path) -> None:
    with up(tmp_path) as first:
        first.process.kill()
        first.process.wait()
        with up(tmp_path) as second:
            assert first.gone()
            assert not second.gone()
            second.send(signal.SIGTERM)
            assert second.process.wait(60) == 0


def test_a_child_that_dies_is_started_again(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        os.kill(running.children["agent"], signal.SIGKILL)
        running.expect("agent: ended unexpectedly (killed by SIGKILL)")
        running.expect("agent: runs again")
        running.send(signal.SIGTERM)
        assert running.process.wait(60) == 0
