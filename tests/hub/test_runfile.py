from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hub.lock import Locked, held
from hub.runfile import Announcement, Running, announce, parse_announcement, read_run, remove_run, write_run

if TYPE_CHECKING:
    from pathlib import Path


def running(pid: int) -> Running:
    return Running(pid, "http://127.0.0.1:8080", "127.0.0.1", 1883, "/var", "hub", "0.1.0")


def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_what_runs_is_found_and_private(tmp_path: Path) -> None:
    write_run(tmp_path / "run.json", running(os.getpid()))
    assert read_run(tmp_path / "run.json") == running(os.getpid())
    assert (tmp_path / "run.json").stat().st_mode & 0o777 == 0o600


def test_what_a_dead_hub_left_is_nothing(tmp_path: Path) -> None:
    write_run(tmp_path / "run.json", running(dead_pid()))
    assert read_run(tmp_path / "run.json") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', "\x00"])
def test_a_damaged_file_is_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    assert read_run(tmp_path / "run.json") is None


def test_a_hub_removes_its_own_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_run(path, running(os.getppid()))
    remove_run(path, os.getpid())
    assert path.exists()
    write_run(path, running(os.getpid()))
    remove_run(path, os.getpid())
    assert not path.exists()
    remove_run(path, os.getpid())


def test_an_announcement_is_one_line_and_other_lines_are_none() -> None:
    announcement = Announcement(running(1), "secret")
    assert "\n" not in announce(announcement)
    assert parse_announcement(announce(announcement)) == announcement
    assert parse_announcement('{"event": "started"}') is None
    assert parse_announcement("ready") is None


def test_a_lock_that_another_process_holds_names_it(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom hub.lock import held\n"
        "with held(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    argv = [sys.executable, "-c", code, str(tmp_path / "lock")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(Locked) as locked, held(tmp_path / "lock"):
            pass
        assert locked.value.pid == str(other.pid)
        other.kill()
    with held(tmp_path / "lock"):
        pass
