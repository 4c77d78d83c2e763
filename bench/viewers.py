"""Chromium before the dashboard: how long pages take, and viewers who only look.

    python -m bench.viewers URL TOKEN COUNT

opens Overview in COUNT contexts (own cookies, own cache, own WebSocket), says ``ready``, and holds them open until its
standard input ends.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from typing import TYPE_CHECKING, Final

from playwright.sync_api import sync_playwright

from bench.audience import COOKIE, given_to_lookers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

_ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_LIMIT_MS: Final = 60_000
_TABLE: Final = '[data-testid="stDataFrame"] canvas >> visible=true'
_CHART: Final = ".js-plotly-plot .main-svg >> visible=true"
_SAID: Final = '[data-testid="stAlert"] >> visible=true'
_FORM: Final = '[data-testid="stForm"] >> visible=true'
#: Page → what a viewer came for; the first of them to be visible counts.
PAGES: Final = {
    "": (_TABLE,),
    "node?node=node-00007": (_CHART,),
    "explore": (_CHART,),
    "logs": (_TABLE,),
    "alerts": (_TABLE, _SAID),
    "rules": (_TABLE,),
    "commands": (_FORM,),
    "ingest": (_TABLE,),
    "admin": (_TABLE, _FORM),
}
_SPAN_DAYS: Final = """(days) => {
  const chart = document.querySelector('.js-plotly-plot');
  const x = chart?.data?.[0]?.x;
  if (!x || !x.length) return false;
  return (new Date(x[x.length - 1]) - new Date(x[0])) / 86400e3 > days;
}"""


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's, without a window."""
    program = shutil.which("chromium")
    if program is None:
        raise SystemExit("chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def viewer(browser: Browser, url: str, token: str) -> BrowserContext:
    """A browser of somebody who has logged in."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_cookies([{"name": COOKIE, "value": token, "url": url}])
    context.set_default_timeout(_LIMIT_MS)
    return context


def paint_s(page: Page, url: str, wanted: tuple[str, ...]) -> float:
    """Seconds from the navigation until what a viewer came for can be seen."""
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    either = page.locator(wanted[0])
    for other in wanted[1:]:
        either = either.or_(page.locator(other))
    either.first.wait_for(state="visible")
    return time.perf_counter() - began


def pages_s(browser: Browser, url: str, token: str, rounds: int) -> dict[str, list[float]]:
    """Each page, ``rounds`` times; before that each once, as nobody logs in without having loaded the front end."""
    with contextlib.closing(viewer(browser, url, token)) as context:
        page = context.new_page()
        found = {}
        for path, wanted in PAGES.items():
            first = paint_s(page, f"{url}/{path}", wanted)
            found[path] = [first] + [paint_s(page, f"{url}/{path}", wanted) for _ in range(rounds)]
        return found


def explore_s(browser: Browser, url: str, token: str, series: int, rounds: int) -> list[float]:
    """From the click on "Last 30 days" until the chart shows them; other nodes each time, so that no cache helps."""
    with contextlib.closing(viewer(browser, url, token)) as context:
        page = context.new_page()
        found = []
        for number in range(rounds):
            nodes = "".join(f"&n=node-{100 + number * series + i:05d}" for i in range(series))
            paint_s(page, f"{url}/explore?m=cpu&f=usage{nodes}&from=-1d", (_CHART,))
            page.wait_for_function(f"document.querySelector('.js-plotly-plot')?.data?.length === {series}")
            page.get_by_role("combobox", name="Time range").click()
            option = page.get_by_role("option", name="Last 30 days")
            option.wait_for()
            began = time.perf_counter()
            option.click()
            page.wait_for_function(_SPAN_DAYS, arg=29)
            found.append(time.perf_counter() - began)
        return found


def main() -> None:
    given = given_to_lookers()
    with chromium() as browser:
        pages = [viewer(browser, given.url, given.token).new_page() for _ in range(given.count)]
        for page in pages:
            paint_s(page, given.url, PAGES[""])
        print("ready", flush=True)
        sys.stdin.readline()


if __name__ == "__main__":
    main()
