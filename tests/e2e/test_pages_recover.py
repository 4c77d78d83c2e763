"""What recovers by itself: a page that is not drawn anew every few seconds, and the dashboard at its address."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest
from playwright.sync_api import expect, sync_playwright

from hub.runfile import read_run
from tests.support.dashboard import Pages
from tests.support.mosquitto import free_port
from tests.support.processes import is_running
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

expect.set_options(timeout=60_000)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    running = Pages(tmp_path_factory.mktemp("pages"), {"IOTHUB_API__PORT": str(free_port())})
    try:
        running.start()
        yield running
    finally:
        running.hub.cleanup()


def kill_hub(pages: Pages) -> None:
    running = read_run(pages.hub.state / "run.json")
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)


def opened(page: Page, pages: Pages, path: str) -> None:
    page.goto(pages.url + path)
    page.get_by_label("User").fill("admin")
    page.get_by_label("Password").fill(pages.password)
    page.get_by_label("Password").press("Enter")


def test_a_page_that_stands_still_recovers_too_once_the_hub_is_back(pages: Pages) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        opened(page, pages, f"/logs?node={pages.host}")
        expect(page.get_by_text("No record fits")).to_be_visible()
        kill_hub(pages)
        page.get_by_label("Contains").fill("x")
        page.get_by_label("Contains").press("Enter")
        away = page.get_by_text("This page tries again by itself")
        expect(away).to_be_visible()
        expect(away).to_have_count(0)
        expect(page.get_by_text("No record fits")).to_be_visible()
        expect(page.get_by_label("Contains")).to_have_value("x")
        browser.close()


def test_a_dashboard_that_is_started_again_is_at_the_same_address(pages: Pages) -> None:
    def answers() -> bool:
        try:
            return httpx.get(pages.url + "/login", timeout=5).is_success
        except httpx.TransportError:
            return False

    children = psutil.Process(pages.hub.pid).children(recursive=True)
    (before,) = [one.pid for one in children if "dashboard" in one.cmdline()]
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: not is_running(before) and answers(), 60, "the dashboard answers again")
