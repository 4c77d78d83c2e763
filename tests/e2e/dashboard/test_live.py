"""Pages that stay open: they follow what happens, keep what people do on them, and end with the session or the hub."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from hub.runfile import read_run
from tests.support.dashboard import DEVICE, as_of, drawn, log_in, opened, redrawn, table_with

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.support.dashboard import Pages

pytestmark = pytest.mark.timeout(300)  # browser and hub together, on a busy machine

MANY = 200
_FRESH = re.compile(r"^([0-9]|10) s ago$")
#: Time of the newest sample of the first chart.
_NEWEST = "String(document.querySelector('.js-plotly-plot').data[0].x.at(-1))"
#: What can be seen of such elements in each frame that is painted, from now on: none is to miss, to fade or to move.
_WATCH = """(selector) => {
  const asOf = () => [...document.querySelectorAll('[data-testid="stCaptionContainer"]')]
    .map((one) => one.textContent).filter((text) => text.startsWith('As of')).at(-1);
  const shown = () => [...document.querySelectorAll(selector)].filter((one) => one.checkVisibility()
    && one.getBoundingClientRect().height > 20 && one.closest('.stElementContainer')?.clientHeight > 20);
  const opacity = (one) => one ? getComputedStyle(one).opacity * opacity(one.parentElement) : 1;
  const places = () => shown().map((one) => Math.round(one.getBoundingClientRect().top)).join();
  const [count, where] = [shown().length, places()];
  const seen = window.seen = {frames: 0, missing: 0, moved: 0, faded: 0, redrawn: 0};
  let last = asOf();
  const look = () => {
    seen.frames += 1;
    seen.missing += shown().length < count;
    seen.moved += shown().length >= count && places() !== where;
    seen.faded += shown().some((one) => opacity(one) < 0.99);
    if (asOf() !== last) { last = asOf(); seen.redrawn += 1; }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
  return count;
}"""


def steady(page: Page, selector: str) -> dict[str, int]:
    """What could be seen of these elements while the page was drawn anew three times."""
    assert page.evaluate(_WATCH, selector) > 0
    page.wait_for_function("window.seen.redrawn >= 3")
    seen: dict[str, int] = page.evaluate("window.seen")
    assert seen["frames"] > 3
    return {name: seen[name] for name in ("missing", "moved", "faded")}


NOTHING = {"missing": 0, "moved": 0, "faded": 0}


def test_this_host_is_seen_with_what_it_said_in_the_last_ten_seconds(page: Page, pages: Pages) -> None:
    opened(page, pages, "/")
    row = table_with(page, pages.host).locator("tbody tr").filter(has_text=pages.host)
    expect(row.locator("td").nth(1)).to_contain_text("online")
    expect(row.locator("td").nth(2)).to_have_text(_FRESH)
    redrawn(page)
    expect(row.locator("td").nth(2)).to_have_text(_FRESH)


def test_charts_of_a_live_node_are_drawn_anew_without_flicker(page: Page, pages: Pages) -> None:
    opened(page, pages, f"/node?node={pages.host}")
    expect(page.locator(".js-plotly-plot .scatterlayer .trace").first).to_be_attached()
    drawn(page)
    before = page.evaluate(_NEWEST)
    assert steady(page, ".js-plotly-plot .main-svg:first-child") == NOTHING
    page.wait_for_function(f"{_NEWEST} > '{before}'")


def test_a_log_that_is_followed_shows_new_records_by_itself(page: Page, pages: Pages) -> None:
    opened(page, pages, "/logs")
    page.get_by_text("Follow", exact=True).click()
    page.wait_for_url("**follow=1*")
    for number in range(2):
        pages.device.send("log", json.dumps({"level": "warning", "message": f"door opened {number}"}))
        expect(table_with(page, f"door opened {number}")).to_be_visible()


def test_a_paused_page_stands_still_while_others_go_on(page: Page, pages: Pages) -> None:
    live = page.context.new_page()
    opened(live, pages, "/")
    opened(page, pages, "/")
    page.get_by_test_id("stSidebar").get_by_text("Pause").click()
    expect(page.get_by_role("switch", name="Pause")).to_be_checked()
    drawn(page)
    before: list[str] = []
    while (now := as_of(page)) != before:  # what was under way comes to its end
        before = now
        redrawn(live)
    redrawn(live)
    redrawn(live)
    assert as_of(page) == before
    live.close()


@pytest.fixture(scope="module")
def many(pages: Pages) -> int:
    with pages.api() as api:
        for number in range(MANY):
            api.post("/nodes", json={"node": f"lamp-{number:03}", "groups": []}).raise_for_status()
    return MANY


def test_a_table_of_hundreds_of_nodes_keeps_its_place_and_what_is_being_typed(
    page: Page, pages: Pages, many: int
) -> None:
    page.set_viewport_size({"width": 1280, "height": 500})
    opened(page, pages, "/")
    table = table_with(page, "lamp-001")
    expect(table.locator("[role=grid]")).to_have_attribute("aria-rowcount", str(many + 3))
    page.get_by_role("textbox", name="Search").press_sequentially("lamp-1")  # no Enter yet
    page.get_by_test_id("stMain").evaluate("main => main.scrollTo(0, 150)")
    scroller = page.locator(".dvn-scroller").first
    scroller.evaluate("inner => inner.scrollTo(0, 2000)")
    assert steady(page, '[data-testid="data-grid-canvas"]') == NOTHING
    assert page.get_by_test_id("stMain").evaluate("main => main.scrollTop") == 150
    assert scroller.evaluate("inner => inner.scrollTop") == 2000
    expect(page.get_by_role("textbox", name="Search")).to_have_value("lamp-1")
    expect(page.get_by_role("textbox", name="Search")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("[role=grid]").first).to_have_attribute("aria-rowcount", "101")


def test_who_signs_out_leaves_no_open_page_with_data(browser: Browser, pages: Pages) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        log_in(page, pages)
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        live, still = context.new_page(), context.new_page()
        opened(live, pages, f"/node?node={DEVICE}")
        opened(still, pages, "/rules")  # nothing of it is live: it sends nothing by itself
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Signed out")).to_be_visible()
        for other, path in ((live, "node"), (still, "rules")):
            other.wait_for_url(f"**/login?next=*{path}*")
            expect(other.get_by_label("User")).to_be_visible()
            expect(other.get_by_text("room-hot")).to_have_count(0)


def test_an_open_page_says_that_the_hub_is_away_and_recovers_by_itself(page: Page, pages: Pages) -> None:
    opened(page, pages, "/")
    expect(page.get_by_text("data gets through")).to_be_visible()
    running = read_run(pages.hub.state / "run.json")
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    away = page.get_by_text("This page tries again by itself")
    expect(away.first).to_be_visible()
    expect(away).to_have_count(0)
    expect(page.get_by_text("data gets through")).to_be_visible()
