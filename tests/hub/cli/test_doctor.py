"""Findings without a hub; with one they are in ``tests/e2e``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hub.cli.base import Options
from hub.cli.doctor import examine
from hub.paths import StatePaths, write_secret
from hub.runfile import Running, write_run

if TYPE_CHECKING:
    from pathlib import Path

    from hub.cli.finding import Finding


def findings(state: Path) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine(Options(state=state))}


def test_a_state_directory_that_is_missing_is_the_first_thing_said(tmp_path: Path) -> None:
    found = findings(tmp_path / "var")
    assert found["state"].verdict == "failed"
    assert "iothub up" in found["state"].text
    assert found["disk"].verdict == "skipped"


def test_without_a_hub_what_needs_one_is_not_tried(tmp_path: Path) -> None:
    StatePaths(tmp_path).make()
    found = findings(tmp_path)
    assert (found["state"].verdict, found["secrets"].verdict) == ("ok", "ok")
    assert found["hub"].verdict == "failed"
    assert "start it: iothub up" in found["hub"].text
    assert {found[name].verdict for name in ("API", "broker", "store", "clocks", "agent")} == {"skipped"}


def test_secrets_that_others_can_read_are_found(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    paths.make()
    write_secret(paths.cli_token, "x")
    paths.cli_token.chmod(0o644)
    found = findings(tmp_path)
    assert found["secrets"].verdict == "failed"
    assert f"chmod go= {paths.cli_token}" in found["secrets"].text


def test_a_hub_that_does_not_answer_is_told_apart_from_none(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    paths.make()
    write_secret(paths.cli_token, "x")
    write_run(paths.run, Running(os.getpid(), "http://127.0.0.1:9", "127.0.0.1", 9, str(tmp_path), "h", "0"))
    found = findings(tmp_path)
    assert found["hub"].verdict == "ok"
    assert found["API"].verdict == "failed"
    assert "nothing answers at http://127.0.0.1:9" in found["API"].text
    assert found["broker"].verdict == "failed"
