"""The dashboard of a real ``iothub up`` and a real Chromium before it, for tests of pages.

Streamlit replaces what it draws: elements are found by role and label each time, never kept. Tables are pictures; in
the picture's place stands what it shows for those who cannot see it, and tests read that.
"""

from __future__ import annotations

import re
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from playwright.sync_api import expect, sync_playwright

from dashboard.identity import COOKIE
from tests.support.iothub import IotHub

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Locator, Page, ViewportSize


#: What a device or its surroundings may send; on a page it is text.
HOSTILE = "<img src=x onerror=\"document.title='broken in'\"> **bold** [link](javascript:alert(1)) :red[x] $x^2$"
DEVICE = "boiler-7"
RULES = """
[rules.cpu-here]
metric = "cpu.usage"
tags = { core = "" }
above = 0.1
message = "{node} works: {value:.1f} %"

[rules.room-hot]
metric = "room.temperature"
above = { warning = 30, critical = 40 }
clear = 28
"""
_CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
#: A busy machine is no failure.
SLOW_MS = 60_000
_ROW_PX = 35
_MOST_TABS = 80
_HAS_RING = """it => {
  const style = getComputedStyle(it);
  return it.matches(':focus-visible') && (parseFloat(style.outlineWidth) > 0 && style.outlineStyle !== 'none'
    || style.boxShadow !== 'none');
}"""
#: Who stands in front of a chart and takes the mouse.
_DRAGGED = ".js-plotly-plot .nsewdrag"


class Pages:
    """A hub with its dashboard, this host's agent and one device that sends what it should not."""

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        self.hub = IotHub(folder, {"IOTHUB_DASHBOARD__ENABLED": "true", **(variables or {})})
        self.url = self.api_url = self.password = self.host = self.token = ""

    def start(self) -> None:
        """Run it until this host is online."""
        self.hub.state.mkdir(mode=0o700, parents=True)
        (self.hub.state / "rules.toml").write_text(RULES, encoding="utf-8")
        self.hub.start()
        self.url = self._said(r"dashboard +(\S+)")
        self.api_url = self._said(r"API +(\S+)")
        self.password = self._said(r"user admin, password (\S+)")
        self.host = self._said(r"this host +node ([^,]+),")
        port = self._said(r"broker +127\.0\.0\.1:(\d+)")
        self.token = self.token_of("admin", self.password)
        account = self.post("/nodes", {"node": DEVICE, "groups": ["lab"]})["credentials"]
        self._device = Device(port, account)

    @property
    def device(self) -> Device:
        return self._device

    def token_of(self, user: str, password: str) -> str:
        """Log in at the API."""
        body = {"user": user, "password": password, "scope": "full"}
        token: str = self._asked(httpx.post(f"{self.api_url}/api/v1/token", json=body, timeout=60))["token"]
        return token

    def api(self) -> httpx.Client:
        """The API for an administrator; one client for many calls, as each makes a connection of its own."""
        bearer = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=f"{self.api_url}/api/v1", headers=bearer, timeout=60)

    def get(self, path: str, **params: Any) -> Any:
        """What the API says to an administrator."""
        with self.api() as api:
            return self._asked(api.get(path, params=params))

    def post(self, path: str, body: Any) -> Any:
        with self.api() as api:
            return self._asked(api.post(path, json=body))

    @staticmethod
    def _asked(response: httpx.Response) -> Any:
        return response.raise_for_status().json()

    def _said(self, pattern: str) -> str:
        found = re.search(pattern, self.hub.text)
        assert found is not None, f"{pattern} is not in {self.hub.text}"
        return found[1]


@dataclass(frozen=True)
class Device:
    """Publishes by Debian's own client."""

    port: str
    account: dict[str, str]

    def send(self, topic: str, payload: str) -> None:
        name, password = self.account["username"], self.account["password"]
        subprocess.run(
            [
                *("mosquitto_pub", "-V", "5", "-p", self.port, "-u", name, "-P", password),
                *("-i", self.account["client_id"], "-q", "1", "-t", f"iot/v1/{name}/{topic}", "-s"),
            ],
            input=payload,
            text=True,
            check=True,
            timeout=60,
        )


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's, without a window; all waits are as long as a busy machine may take."""
    expect.set_options(timeout=SLOW_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=_CHROMIUM)
        try:
            yield browser
        finally:
            browser.close()


def signed_in(browser: Browser, pages: Pages, **options: Any) -> BrowserContext:
    """A browser in which the administrator is logged in; ``options`` as for Playwright's ``new_context``."""
    context = browser.new_context(**{"viewport": DESKTOP, **options})
    context.set_default_timeout(SLOW_MS)
    context.add_cookies([{"name": COOKIE, "value": pages.token, "url": pages.url}])
    return context


def log_in(page: Page, pages: Pages, password: str | None = None, user: str = "admin") -> None:
    """By the form, as people do."""
    page.goto(pages.url)
    page.get_by_label("User").fill(user)
    page.get_by_label("Password").fill(password or pages.password)
    page.get_by_label("Password").press("Enter")


def opened(page: Page, pages: Pages, path: str) -> None:
    """Open a page by its address and wait until it is there."""
    page.goto(pages.url + path)
    name = path.strip("/").partition("?")[0].capitalize() or "Overview"
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    drawn(page)


def drawn(page: Page) -> None:
    """Wait until nothing is being drawn: neither by the script, nor what stands in for parts that are loaded."""
    expect(page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')).to_be_visible()
    expect(page.get_by_test_id("stSkeleton").locator("visible=true")).to_have_count(0)
    expect(page.locator("[data-stale=true]").locator("visible=true")).to_have_count(0)


def choose(page: Page, label: str, option: str, *, within: Locator | None = None) -> None:
    """Choose from a list by what stands above it; ``within``: a part of the page."""
    (within or page).get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option, exact=True).click()


def tab_to(page: Page, target: Locator, *, ring: bool = True) -> None:
    """Reach it with the Tab key alone, and see that one is there; a table shows it itself, not by a ring around it."""
    expect(target).to_be_enabled()
    for _ in range(_MOST_TABS):
        page.keyboard.press("Tab")
        if target.evaluate("it => it.contains(document.activeElement)"):
            break
    assert target.evaluate("it => it.contains(document.activeElement)"), "Tab does not lead there"
    assert not ring or target.evaluate(_HAS_RING), "nothing shows that it has the focus"


def table_with(page: Page, text: str) -> Locator:
    """The table that shows ``text``, once it does."""
    found = page.get_by_test_id("stDataFrame").filter(has=page.locator("td").filter(has_text=text))
    expect(found.first).to_be_visible()
    return found.first


def choose_row(page: Page, text: str, *, then: Locator) -> None:
    """Choose the row that has ``text``; ``then`` is what comes to be seen by it.

    The table may have got other rows between looking and clicking: then one looks again. A second click on the row
    itself would take the choice back.
    """
    chosen = page.locator("tbody tr[aria-selected=true]").or_(then)
    while chosen.filter(has_text=text).or_(then).count() == 0:
        table = table_with(page, text)
        row = table.locator("tbody tr").filter(has_text=text).first
        number = int(row.get_attribute("aria-rowindex") or 0) - 1  # the heading is row 1
        box = table.bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + 16, box["y"] + _ROW_PX * number + _ROW_PX / 2)
        expect(chosen.first).to_be_attached()
    expect(then).to_be_visible()


def as_of(page: Page) -> list[str]:
    """When each live part was drawn last."""
    return page.get_by_text("As of", exact=False).all_inner_texts()


def redrawn(page: Page) -> None:
    """Wait until something live has been drawn anew."""
    before = page.get_by_text("As of").first.inner_text()
    expect(page.get_by_text("As of").first).not_to_have_text(before)


def drag_over_chart(page: Page, start: float, stop: float) -> None:
    """Drag across the first chart, from and to these parts of its width."""
    page.wait_for_function(f"document.querySelector('{_DRAGGED}')?.getBoundingClientRect().width > 100")
    box = page.locator(_DRAGGED).first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * start, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * stop - 2, box["y"] + 60, steps=8)
    page.mouse.up()
