"""The dashboard of a real ``iothub up`` in a real Chromium, as people use it."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from tests.support.dashboard import CHROMIUM, DESKTOP, DEVICE, HOSTILE, PHONE, Pages
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

SLOW_MS = 60_000
expect.set_options(timeout=SLOW_MS)
#: Page → what stands on it once it is drawn.
PAGES = {
    "/": "Overview",
    "/node": "Charts",
    "/explore": "Explore",
    "/logs": "Logs",
    "/alerts": "Alerts",
    "/rules": "Rules",
    "/commands": "Commands",
    "/ingest": "Ingest",
    "/admin": "Admin",
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    running = Pages(tmp_path_factory.mktemp("pages"))
    try:
        running.start()
        running.device.send("telemetry/room", '{"temperature": 35.5, "hostile<b>": 1}')
        running.device.send("telemetry/room", "{not json <script>")
        yield running
    finally:
        running.hub.cleanup()


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots are kept: ``IOTHUB_TEST_SCREENSHOTS``, or below pytest's own folder."""
    folder = Path(os.environ.get("IOTHUB_TEST_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def session(browser: Browser, pages: Pages) -> Iterator[BrowserContext]:
    """A browser in which the administrator is logged in."""
    context = browser.new_context(viewport=DESKTOP, accept_downloads=True)
    page = context.new_page()
    log_in(page, pages)
    page.close()
    yield context
    context.close()


@pytest.fixture
def page(session: BrowserContext) -> Iterator[Page]:
    opened = session.new_page()
    opened.set_default_timeout(SLOW_MS)
    yield opened
    opened.close()


def log_in(page: Page, pages: Pages, password: str | None = None) -> None:
    page.goto(pages.url)
    page.get_by_label("User").fill("admin")
    page.get_by_label("Password").fill(password or pages.password)
    page.get_by_label("Password").press("Enter")


def drawn(page: Page, pages: Pages, path: str) -> None:
    """Open a page and wait until it is there."""
    page.goto(pages.url + path)
    expect(page.get_by_text(PAGES[path.partition("?")[0]], exact=True).last).to_be_visible()
    expect(page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')).to_be_visible()
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)


def test_a_wrong_password_is_refused_and_the_right_one_opens_the_overview(browser: Browser, pages: Pages) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        log_in(page, pages, "wrong")
        expect(page.get_by_role("alert")).to_contain_text("Unknown user or wrong password.")
        log_in(page, pages)
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def test_this_host_is_seen_live_within_ten_seconds(page: Page, pages: Pages) -> None:
    drawn(page, pages, "/")
    expect(page.get_by_test_id("stMetricValue").first).to_contain_text("of 2", timeout=10_000)
    before = page.get_by_text("As of").first.inner_text()
    expect(page.get_by_text("As of").first).not_to_have_text(before, timeout=10_000)


def test_the_page_of_this_host_shows_its_charts_and_what_it_publishes(page: Page, pages: Pages, shots: Path) -> None:
    drawn(page, pages, f"/node?node={pages.host}")
    expect(page.get_by_text("Processor, by core")).to_be_visible()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    page.screenshot(path=shots / "light-node.png")


class Visit:
    """What one look at a page brought to light."""

    def __init__(self, page: Page, pages: Pages, path: str, shots: Path) -> None:
        #: Errors in the console, and requests to somebody else.
        self.wrong: list[str] = []
        page.on("console", lambda message: self.wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda one: self.wrong.append(one.url) if not one.url.startswith(_ours(pages)) else None)
        drawn(page, pages, path)
        page.screenshot(path=shots / f"light-{PAGES[path].lower()}.png")
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        #: Rule of axe → the elements that break it.
        self.serious = {
            one["id"]: [node["html"][:200] for node in one["nodes"]]
            for one in found
            if one["impact"] in ("serious", "critical")
        }


@pytest.fixture(scope="module", params=PAGES)
def visit(session: BrowserContext, pages: Pages, shots: Path, request: pytest.FixtureRequest) -> Iterator[Visit]:
    page = session.new_page()
    yield Visit(page, pages, str(request.param), shots)
    page.close()


def test_no_page_reports_an_error_to_the_console_or_calls_elsewhere(visit: Visit) -> None:
    assert visit.wrong == []


def test_axe_finds_nothing_serious_on_a_page(visit: Visit) -> None:
    assert visit.serious == {}


def _ours(pages: Pages) -> tuple[str, ...]:
    return (pages.url, pages.url.replace("http:", "ws:"), "data:", "blob:")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_a_phone_also_in_the_dark(
    browser: Browser, session: BrowserContext, pages: Pages, shots: Path, path: str
) -> None:
    with browser.new_context(viewport=PHONE, color_scheme="dark", storage_state=session.storage_state()) as context:
        page = context.new_page()
        drawn(page, pages, path)
        page.screenshot(path=shots / f"phone-{PAGES[path].lower()}.png")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1")


def test_dragging_over_the_chart_looks_closer_and_the_link_says_so(page: Page, pages: Pages, shots: Path) -> None:
    drawn(page, pages, f"/explore?m=cpu&f=usage&n={pages.host}&from=-15m")
    page.wait_for_function("document.querySelector('.js-plotly-plot .nsewdrag')?.getBoundingClientRect().width > 100")
    box = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    assert box is not None
    # What there is is new: it stands at the right end.
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 60, steps=8)
    page.mouse.up()
    page.wait_for_url("**from=20*to=20*")
    expect(page.get_by_label("Time range").first).to_have_value("Own range")
    expect(page.locator(".js-plotly-plot .scatterlayer .trace").first).to_be_attached()
    page.screenshot(path=shots / "light-zoom.png")


def test_a_csv_that_is_taken_away_holds_what_the_api_says(page: Page, pages: Pages) -> None:
    drawn(page, pages, f"/explore?m=room&f=temperature&n={DEVICE}&from=-1h")
    page.get_by_role("tab", name="Download").click()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="CSV", exact=True).click()
    rows = list(csv.DictReader(io.StringIO(Path(downloading.value.path()).read_text(encoding="utf-8"))))
    said = pages.get("/query", measurement="room", field="temperature", node=DEVICE)
    assert [float(row["value"]) for row in rows] == said["series"][0]["values"] == [35.5]


def test_ping_is_sent_and_its_reply_is_read(page: Page, pages: Pages, shots: Path) -> None:
    drawn(page, pages, f"/commands?node={pages.host}")
    page.get_by_role("button", name="Send", exact=False).first.click()
    expect(page.get_by_text(": done")).to_be_visible()
    page.screenshot(path=shots / "light-ping.png")


def test_an_alert_is_acknowledged_on_the_page(page: Page, pages: Pages, shots: Path) -> None:
    wait_until(lambda: alerts_of(pages), 60, "the room is too hot")
    number = alerts_of(pages)[0]["id"]
    drawn(page, pages, "/alerts")
    table = page.get_by_test_id("stDataFrame").first
    expect(table).to_be_visible()
    shown = [row["id"] for row in pages.get("/alerts")["items"]]
    box = table.bounding_box()
    assert box is not None
    for row in range(len(shown)):
        page.mouse.click(box["x"] + 16, box["y"] + 35 * (row + 1) + 17)
        heading = page.get_by_role("heading", name=f"room-hot on {DEVICE}")
        try:
            expect(heading).to_be_visible(timeout=4_000)
            break
        except AssertionError:
            continue
    page.get_by_label("Comment").first.fill("window opened")
    page.screenshot(path=shots / "light-alert.png")
    page.get_by_role("button", name="Acknowledge").click()
    wait_until(
        lambda: pages.get(f"/alerts/{number}")["state"] == "acknowledged", 20, "the API says that it is acknowledged"
    )
    assert pages.get(f"/alerts/{number}")["acknowledged_by"] == "admin"


def alerts_of(pages: Pages) -> list[dict[str, object]]:
    found: list[dict[str, object]] = pages.get("/alerts", node=DEVICE, rule="room-hot")["items"]
    return found


def test_a_refused_message_is_shown_with_its_bytes_and_tried_again(page: Page, pages: Pages, shots: Path) -> None:
    drawn(page, pages, "/ingest")
    page.get_by_role("tab", name="Refused messages").click()
    table = page.get_by_role("tabpanel").filter(has=page.get_by_test_id("stDataFrame")).last
    box = table.get_by_test_id("stDataFrame").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 16, box["y"] + 52)
    expect(page.get_by_test_id("stCode").get_by_text("{not json").first).to_be_visible()
    page.screenshot(path=shots / "light-reject.png")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("Refused once more")).to_be_visible()


def test_what_devices_send_is_shown_as_text(page: Page, pages: Pages) -> None:
    pages.device.send("log", '{"level": "error", "source": "x", "message": ' + _quoted(HOSTILE) + "}")
    wait_until(lambda: pages.get("/logs", text="broken in")["items"], 60, "the log record is stored")
    drawn(page, pages, "/logs?from=-1h")
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    drawn(page, pages, f"/node?node={DEVICE}")
    drawn(page, pages, f"/explore?m=room&f=hostile%3Cb%3E&n={DEVICE}")
    assert "broken in" not in page.title()
    assert page.locator("img[src='x']").count() == 0


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def test_the_login_can_be_used_with_the_keyboard_alone(browser: Browser, pages: Pages) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(pages.url)
        expect(page.get_by_label("User")).to_be_focused()
        page.keyboard.type("admin")
        page.keyboard.press("Tab")
        page.keyboard.type(pages.password)
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def test_paused_pages_stand_still(page: Page, pages: Pages) -> None:
    drawn(page, pages, "/")
    page.get_by_test_id("stSidebar").get_by_text("Pause").click()
    page.wait_for_timeout(3_000)  # what was under way comes to its end
    before = page.get_by_text("As of").first.inner_text()
    page.wait_for_timeout(5_000)  # twice the time after which a live page is drawn anew
    assert page.get_by_text("As of").first.inner_text() == before


def test_signing_out_closes_the_door(browser: Browser, pages: Pages) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        log_in(page, pages)
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        other = context.new_page()
        other.goto(pages.url + "/logs")
        expect(other.get_by_role("heading", name="Logs")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Signed out")).to_be_visible()
        other.goto(pages.url + "/logs")
        expect(other.get_by_label("User")).to_be_visible()
