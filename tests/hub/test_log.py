from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog

from hub import log
from hub.config import LogSettings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    before, handlers, level = structlog.get_config(), logging.root.handlers[:], logging.root.level
    yield
    structlog.configure(**before)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def test_our_events_and_those_of_libraries_have_one_form(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(LogSettings(level="info", format="json"))
    structlog.get_logger().info("stored", points=3)
    logging.getLogger("library").warning("odd %s", "thing")
    ours, theirs = map(json.loads, capsys.readouterr().err.splitlines())
    assert (ours["event"], ours["level"], ours["points"]) == ("stored", "info", 3)
    assert (theirs["event"], theirs["level"]) == ("odd thing", "warning")
    assert {"timestamp"} <= ours.keys() & theirs.keys()


def test_what_is_below_the_level_is_not_said(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(LogSettings(level="warning", format="json"))
    structlog.get_logger().info("quiet")
    logging.getLogger("library").info("quiet")
    assert capsys.readouterr().err == ""


def test_an_error_brings_its_traceback_on_the_same_line(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(LogSettings(format="json"))
    try:
        int("bad")
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = capsys.readouterr().err.splitlines()
    assert "ValueError: invalid literal" in json.loads(line)["exception"]


def test_text_from_outside_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(LogSettings(format="text"))
    structlog.get_logger().info("refused", topic="\x1b[2J\nfake line")
    said = capsys.readouterr().err
    assert "\x1b[2J" not in said
    assert said.count("\n") == 1


def test_a_full_disk_under_the_log_ends_nothing() -> None:
    code = (
        "import logging, structlog; from hub import log; from hub.config import LogSettings\n"
        "log.configure(LogSettings())\n"
        "for number in range(1000):\n"
        "    structlog.get_logger().error('lost', number=number); logging.getLogger('library').error('lost')\n"
        "print('alive')"
    )
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=full, check=False)
    assert done.stdout == b"alive\n"
