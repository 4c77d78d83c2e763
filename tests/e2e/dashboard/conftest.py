"""One hub with its pages, and one browser, for all tests of a file."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.dashboard import Pages, chromium, signed_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    running = Pages(tmp_path_factory.mktemp("pages"), {"IOTHUB_API__PORT": _free_port()})
    try:
        running.start()
        running.device.send("telemetry/room", '{"temperature": 35.5, "hostile<b>": 1}')
        running.device.send("telemetry/room", "{not json <script>")
        running.device.send("log", '[{"level": "warning", "source": "pump", "message": "pressure is low"}]')
        yield running
    finally:
        running.hub.cleanup()
    said = (running.hub.state / "log" / "dashboard.log").read_text(encoding="utf-8")
    assert "Traceback" not in said, said


def _free_port() -> str:
    """A port for the API that stays the same when the hub is started again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return str(taken.getsockname()[1])


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots are kept: ``IOTHUB_TEST_SCREENSHOTS``, or below pytest's own folder."""
    folder = Path(os.environ.get("IOTHUB_TEST_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def session(browser: Browser, pages: Pages) -> Iterator[BrowserContext]:
    """A browser in which the administrator is logged in."""
    with signed_in(browser, pages) as context:
        yield context


@pytest.fixture
def page(session: BrowserContext) -> Iterator[Page]:
    opened = session.new_page()
    yield opened
    opened.close()
