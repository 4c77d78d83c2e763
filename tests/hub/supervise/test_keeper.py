from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING

from hub.supervise.keeper import MARK, Keeper, end_all
from tests.support.processes import is_running
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]


def marked(argv: list[str], mark: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(argv, env={**os.environ, MARK: mark}, start_new_session=True, stdout=subprocess.PIPE)


def test_what_carries_the_mark_ends_and_nothing_else() -> None:
    mine, other = str(uuid.uuid4()), str(uuid.uuid4())
    with marked(SLEEP, mine) as one, marked(SLEEP, other) as two:
        try:
            wait_until(lambda: end_all(lambda mark: mark == mine) or one.poll() is not None)
            assert one.wait(60) == -signal.SIGTERM
            assert two.poll() is None
        finally:
            two.kill()


def test_what_ignores_sigterm_is_killed_after_the_limit() -> None:
    mine = str(uuid.uuid4())
    with marked(STUBBORN, mine) as one:
        assert one.stdout is not None
        one.stdout.readline()
        assert end_all(lambda mark: mark == mine, limit_s=0.1)
        assert one.wait(60) == -signal.SIGKILL


PARENT = """
import os, subprocess, sys, time
from pathlib import Path
from hub.supervise.keeper import MARK, Keeper
mark, log = sys.argv[1:]
with Keeper(mark, Path(log)) as keeper:
    child = subprocess.Popen(["sleep", "600"], env={**os.environ, MARK: mark}, start_new_session=True)
    print(child.pid, flush=True)
    time.sleep(600)
"""


def test_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "up.log"
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(uuid.uuid4()), str(log)], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    wait_until(lambda: not is_running(pid), what="the child of the killed parent is gone")
    wait_until(lambda: f"(pid {pid})" in log.read_text(), what="the keeper says what it ended")


def test_an_ordered_end_leaves_no_keeper(tmp_path: Path) -> None:
    with Keeper(str(uuid.uuid4()), tmp_path / "up.log") as keeper:
        process = keeper._process
        assert process.poll() is None
    assert process.returncode == 0
    assert (tmp_path / "up.log").read_text() == ""


def test_a_child_without_mark_ends_too_once_the_keeper_was_told(tmp_path: Path) -> None:
    parent_code = PARENT.replace("env={**os.environ, MARK: mark}, ", "").replace(
        "    print(", "    keeper.watch(child.pid)\n    print("
    )
    argv = [sys.executable, "-c", parent_code, str(uuid.uuid4()), str(tmp_path / "up.log")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    wait_until(lambda: not is_running(pid), what="the child of the killed parent is gone")
