"""Findings without a hub; with one they are in ``tests/e2e``."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING

import pytest

from hub.cli.base import Options
from hub.cli.doctor import examine
from hub.paths import StatePaths, write_secret
from hub.runfile import Running, write_run
from tests.support.scripted_http import Request, Response, ScriptedServer, says

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


@pytest.mark.parametrize("ran", [False, True])
def test_a_broken_link_of_the_chain_is_no_broken_api_and_what_can_be_looked_at_is(tmp_path: Path, *, ran: bool) -> None:
    paths = StatePaths(tmp_path)
    paths.make()
    write_secret(paths.cli_token, "x")
    if ran:
        paths.logs.mkdir(exist_ok=True)
        (paths.logs / "agent.log").touch()

    def answer(request: Request) -> Response:
        if request.path == "/health":
            link = {"name": "broker", "ok": False, "detail": "no connection: refused"}
            return Response(503, json.dumps({"status": "broken", "broken": ["broker"], "links": [link]}).encode())
        if request.path.endswith("/notify/channels"):
            return says(200, items=[], total=0, next=None)
        return says(404, type="about:blank", title="Not Found", detail="there is no such node")

    async def main() -> dict[str, Finding]:
        async with ScriptedServer(answer).running() as server:
            write_run(paths.run, Running(os.getpid(), server.url, "127.0.0.1", 9, str(tmp_path), "h", "0"))
            return await asyncio.to_thread(findings, tmp_path)

    found = asyncio.run(main())
    verdicts = {name: found[name].verdict for name in ("API", "· broker", "broker", "store", "clocks", "notify")}
    assert verdicts == {
        "API": "ok",
        "· broker": "failed",
        "broker": "failed",
        "store": "skipped",
        "clocks": "ok",
        "notify": "ok",
    }
    assert found["store"].text == "not tried: broker failed"
    assert (found["agent"].verdict, "agent.log" in found["agent"].text) == (("failed", True) if ran else ("ok", False))
