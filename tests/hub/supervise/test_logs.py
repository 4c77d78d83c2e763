from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest

from hub.supervise import logs
from hub.supervise.logs import ChildLogs, Level, level_of, readable

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ('{"level":"warning","event":"x"}', Level.WARNING),
        ('{"level":"INFO","event":"an error in words"}', Level.INFO),
        ('{"event":"x"}', Level.INFO),
        ("1763750000: Error: Unable to open listener", Level.ERROR),
        ("1763750000: Warning: no ca_file", Level.WARNING),
        ("1763750000: New connection from 127.0.0.1", Level.INFO),
        ("2026-11-21 22:18:00 WARNING agent.outbox: full", Level.WARNING),
        ("Traceback (most recent call last):", Level.ERROR),
        ("a long sentence about things that have nothing to do with it, no error", Level.INFO),
        ("{not json", Level.INFO),
    ],
)
def test_the_level_of_a_line_is_found(line: str, level: Level) -> None:
    assert level_of(line) == level


def test_json_is_shown_as_event_and_pairs() -> None:
    assert readable('{"event":"stored","level":"info","timestamp":"t","points":3}') == "stored points=3"


def test_a_line_cannot_steer_the_terminal() -> None:
    assert readable("\x1b[2Jgone") == "\\x1b[2Jgone"
    assert readable('{"event":"a\\u001b[31mb"}') == "a\\x1b[31mb"


def test_a_full_disk_costs_lines_and_nothing_else(tmp_path: Path) -> None:
    shown: list[str] = []
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    with ChildLogs(tmp_path / "log", shown.append) as child_logs:
        take = child_logs.sink("one")
        take("before")
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))  # no file of ours may grow
        try:
            take("lost")
            take("lost too")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        take("after")
    lines = (tmp_path / "log" / "one.log").read_text().splitlines()
    assert lines == ["before", "(2 lines are missing here: they could not be written)", "after"]
    assert shown == [f"iothub: {tmp_path}/log/one.log cannot be written: File too large; its lines are lost meanwhile"]


def test_a_full_log_file_is_kept_once_and_started_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_FILE_BYTES", 100)
    with ChildLogs(tmp_path / "log", lambda _: None) as child_logs:
        take = child_logs.sink("one")
        for number in range(30):
            take(f"line {number}")
    files = sorted(path.name for path in (tmp_path / "log").iterdir())
    assert files == ["one.log", "one.log.1"]
    assert all(
        path.stat().st_size <= 120 and path.stat().st_mode & 0o777 == 0o600 for path in (tmp_path / "log").iterdir()
    )
    assert "line 29\n" in "".join(path.read_text() for path in (tmp_path / "log").iterdir())
