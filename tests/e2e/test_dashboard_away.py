"""The dashboard while the hub is away: a real ``iothub up`` whose hub is killed, and a page that stays open."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

from hub.runfile import read_run
from tests.support.dashboard import CHROMIUM, DESKTOP, Pages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

expect.set_options(timeout=60_000)


def free_port() -> str:
    """A port for the API that stays the same when the hub is started again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return str(taken.getsockname()[1])


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    running = Pages(tmp_path, {"IOTHUB_API__PORT": free_port()})
    try:
        running.start()
        yield running
    finally:
        running.hub.cleanup()


def test_an_open_page_says_that_the_hub_is_away_and_recovers_by_itself(pages: Pages) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        page = browser.new_context(viewport=DESKTOP).new_page()
        page.goto(pages.url)
        page.get_by_label("User").fill("admin")
        page.get_by_label("Password").fill(pages.password)
        page.get_by_label("Password").press("Enter")
        expect(page.get_by_text("data gets through")).to_be_visible()
        running = read_run(pages.hub.state / "run.json")
        assert running is not None
        os.kill(running.pid, signal.SIGKILL)
        away = page.get_by_text("This page tries again by itself")
        expect(away.first).to_be_visible()
        expect(away).to_have_count(0)
        expect(page.get_by_text("data gets through")).to_be_visible()
        browser.close()
