"""How every page looks: one visit each, in light, in the dark and on a phone; and the phone's way between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.support.dashboard import DESKTOP, PHONE, drawn, log_in, opened, signed_in, tab_to

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

    from tests.support.dashboard import Pages

pytestmark = pytest.mark.timeout(300)  # browser and hub together, on a busy machine

PAGES = ("", "node", "explore", "logs", "alerts", "rules", "commands", "ingest", "admin")
_ON_A_PHONE = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Mobile Safari/537.36"
_NO_SIDEBAR = "document.querySelector('[data-testid=stSidebar]').getBoundingClientRect().right < 1"
_BACKGROUND = "getComputedStyle(document.querySelector('.stApp')).backgroundColor"


class Visit:
    """What one look at a page brought to light."""

    def __init__(self, page: Page, pages: Pages, path: str, shots: Path) -> None:
        #: Errors in the console, and requests to somebody else.
        self.wrong: list[str] = []
        name = path or "overview"
        page.on("console", lambda message: self.wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda one: self.wrong.append(one.url) if not one.url.startswith(_ours(pages)) else None)
        opened(page, pages, f"/{path}?node={pages.host}" if path == "node" else f"/{path}")
        page.screenshot(path=shots / f"light-{name}.png")
        #: Part of the page → rule of axe → the elements that break it.
        self.serious = {"light": _serious(page)}
        #: What the page itself says is wrong.
        self.refused: list[str] = []
        tabs = page.get_by_role("tab")
        for number in range(1, tabs.count()):
            tab = tabs.nth(number)
            title = tab.inner_text()
            tab.click()
            expect(page.get_by_role("tabpanel").locator(".stElementContainer").first).to_be_visible()
            expect(tab).to_have_attribute("aria-selected", "true")
            drawn(page)
            self.serious[title] = _serious(page)
            self.refused += page.get_by_test_id("stAlertContentError").locator("visible=true").all_inner_texts()
            page.screenshot(path=shots / f"light-{name}-{title.lower().replace(' ', '-').strip('?')}.png")
        if tabs.count():
            tabs.first.click()
            drawn(page)
        page.mouse.move(0, 0)
        page.get_by_test_id("stMain").evaluate("main => main.scrollTo(0, 0)")
        light = page.evaluate(_BACKGROUND)
        page.emulate_media(color_scheme="dark")
        page.wait_for_function(f"{_BACKGROUND} !== '{light}'")
        drawn(page)
        page.screenshot(path=shots / f"dark-{name}.png")
        self.serious["dark"] = _serious(page)
        page.set_viewport_size(PHONE)
        page.wait_for_function(_NO_SIDEBAR)
        drawn(page)
        page.screenshot(path=shots / f"phone-{name}.png")
        #: Pixels by which a phone would have to scroll sideways.
        self.too_wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        self.refused += page.get_by_test_id("stAlertContentError").locator("visible=true").all_inner_texts()


def _serious(page: Page) -> dict[str, list[str]]:
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return {
        one["id"]: [node["html"][:200] for node in one["nodes"]]
        for one in found
        if one["impact"] in ("serious", "critical")
    }


def _ours(pages: Pages) -> tuple[str, ...]:
    return (pages.url, pages.url.replace("http:", "ws:"), "data:", "blob:")


@pytest.fixture(scope="module", params=PAGES, ids=lambda path: path or "overview")
def visit(session: BrowserContext, pages: Pages, shots: Path, request: pytest.FixtureRequest) -> Iterator[Visit]:
    page = session.new_page()
    page.set_viewport_size(DESKTOP)
    yield Visit(page, pages, request.param, shots)
    page.close()


def test_no_page_reports_an_error_to_the_console_or_calls_elsewhere(visit: Visit) -> None:
    assert visit.wrong == []


def test_axe_finds_nothing_serious_in_light_or_in_the_dark(visit: Visit) -> None:
    assert {part: found for part, found in visit.serious.items() if found} == {}


def test_no_page_says_that_something_went_wrong(visit: Visit) -> None:
    assert visit.refused == []


def test_a_page_fits_a_phone(visit: Visit) -> None:
    assert visit.too_wide <= 1


def test_on_a_phone_the_navigation_opens_and_makes_room_for_the_page(browser: Browser, pages: Pages) -> None:
    with signed_in(browser, pages, viewport=PHONE, is_mobile=True, has_touch=True, user_agent=_ON_A_PHONE) as context:
        page = context.new_page()
        opened(page, pages, "/")
        page.get_by_test_id("stExpandSidebarButton").tap()
        page.get_by_role("link", name="Alerts").tap()
        expect(page.get_by_role("heading", name="Alerts", exact=True)).to_be_visible()
        expect(page.get_by_test_id("stSidebar")).to_have_attribute("data-collapsed", "true")
        page.get_by_role("tab", name="History").tap()
        expect(page.get_by_role("combobox", name="Fired in the last")).to_be_visible()


# -- getting in and around ---------------------------------------------------------------------------------------------


def test_a_wrong_password_is_refused_and_the_right_one_opens_the_overview(browser: Browser, pages: Pages) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        log_in(page, pages, "wrong")
        expect(page.get_by_role("alert")).to_contain_text("Unknown user or wrong password.")
        log_in(page, pages)
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def test_the_login_and_the_navigation_can_be_used_with_the_keyboard_alone(browser: Browser, pages: Pages) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(pages.url)
        expect(page.get_by_label("User")).to_be_focused()
        page.keyboard.type("admin")
        page.keyboard.press("Tab")
        page.keyboard.type(pages.password)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        drawn(page)
        tab_to(page, page.get_by_role("link", name="Commands"))
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Commands")).to_be_visible()
