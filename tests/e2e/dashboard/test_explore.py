"""Explore in a real browser: from a chart to its detail, to a file, to a link and a saved view that show the same."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from playwright.sync_api import expect

from tests.support.dashboard import DEVICE, HOSTILE, choose, drag_over_chart, drawn, opened
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Download, Page

    from tests.support.dashboard import Pages

pytestmark = pytest.mark.timeout(300)  # browser and hub together, on a busy machine

_DAY_S = 86_400
#: Between two samples of the month.
_STEP_S = 600
ROOM = f"/explore?m=room&f=temperature&n={DEVICE}&from=-1h"
#: Seconds between two points of the first line, on the average.
_APART_S = """(() => {
  const times = document.querySelector('.js-plotly-plot')?.data?.[0]?.x;
  if (!times || times.length < 2) return null;
  return (new Date(times[times.length - 1]) - new Date(times[0])) / 1000 / (times.length - 1);
})()"""


@pytest.fixture(scope="module")
def month(pages: Pages) -> str:
    """A measurement with samples every ten minutes of the last 30 days."""
    now_s = int(time.time())
    samples = [
        {"ts": (now_s - age_s) * 1000, "values": {"level": age_s // _STEP_S % 100}}
        for age_s in range(0, 30 * _DAY_S, _STEP_S)
    ]
    for first in range(0, len(samples), 500):
        pages.device.send("telemetry/tank", json.dumps(samples[first : first + 500]))
    wait_until(lambda: _stored(pages) == len(samples), 60, "the month is stored")
    return "tank"


def _stored(pages: Pages) -> int:
    found = pages.get("/query", measurement="tank", field="level", start="-31d", every="60d", fn="count")["series"]
    return int(sum(found[0]["values"])) if found else 0


def test_dragging_over_a_month_fetches_its_detail(page: Page, pages: Pages, month: str, shots: Path) -> None:
    opened(page, pages, f"/explore?m={month}&f=level&n={DEVICE}&from=-30d")
    before_s = page.wait_for_function(_APART_S).json_value()
    assert before_s > 2 * _STEP_S, "a month is more than a chart shows"
    drag_over_chart(page, 0.5, 0.6)
    page.wait_for_url("**from=20*to=20*")
    expect(page.get_by_role("combobox", name="Time range")).to_have_value("Own range")
    page.wait_for_function(f"({_APART_S} ?? Infinity) < {2 * _STEP_S}")
    drawn(page)
    assert page.evaluate(_APART_S) == pytest.approx(_STEP_S, rel=0.05)
    page.screenshot(path=shots / "light-zoom.png")


def test_dragging_over_a_chart_of_minutes_looks_closer(page: Page, pages: Pages) -> None:
    opened(page, pages, f"/explore?m=cpu&f=usage&n={pages.host}&from=-15m")
    # What there is is new: it stands at the right end.
    drag_over_chart(page, 0.8, 1.0)
    page.wait_for_url("**from=20*to=20*")
    expect(page.locator(".js-plotly-plot .scatterlayer .trace").first).to_be_attached()


def test_files_hold_what_the_api_says_and_all_the_same_and_nobody_else_can_fetch_them(page: Page, pages: Pages) -> None:
    opened(page, pages, ROOM)
    page.get_by_role("tab", name="Download").click()
    parquet = pyarrow.parquet.read_table(_taken(page, "Parquet").path())
    arrow = pa.ipc.open_file(Path(_taken(page, "Arrow").path()).read_bytes()).read_all()
    csv_file = _taken(page, "CSV")
    types = pyarrow.csv.ConvertOptions(column_types=parquet.schema, strings_can_be_null=True)
    csv = pyarrow.csv.read_csv(csv_file.path(), convert_options=types)
    said = pages.get("/query", measurement="room", field="temperature", node=DEVICE)["series"][0]
    assert csv["value"].to_pylist() == said["values"] == [35.5]
    assert csv["node"].to_pylist() == [DEVICE]
    assert arrow.equals(parquet)
    assert csv.equals(parquet)
    assert httpx.get(csv_file.url, timeout=60).status_code == 401


def _taken(page: Page, form: str) -> Download:
    with page.expect_download() as downloading:
        page.get_by_role("button", name=form, exact=True).click()
    return downloading.value


def test_the_address_shows_the_same_view_to_somebody_else(page: Page, pages: Pages, month: str) -> None:
    opened(page, pages, f"/explore?m={month}&n={DEVICE}")
    choose(page, "Time range", "Last 7 days")
    page.wait_for_url("**from=-7d*")
    choose(page, "Each point is", "max")
    page.wait_for_url("**fn=max*")
    choose(page, "Step", "6h")
    page.wait_for_url("**every=6h*")
    page.get_by_text("Compare with the period before").click()
    page.wait_for_url("**compare=1*")
    expect(page.locator(".js-plotly-plot .scatterlayer .trace")).to_have_count(2)
    drawn(page)
    theirs = page.context.new_page()
    opened(theirs, pages, page.url.removeprefix(pages.url))
    expect(theirs.locator(".js-plotly-plot .scatterlayer .trace")).to_have_count(2)
    for label, value in {
        "Measurement": month,
        "Time range": "Last 7 days",
        "Each point is": "max",
        "Step": "6h",
    }.items():
        expect(theirs.get_by_role("combobox", name=label)).to_have_value(value)
    expect(theirs.get_by_role("switch", name="Compare with the period before")).to_be_checked()
    theirs.close()


def test_a_view_is_saved_and_opened_by_its_name(page: Page, pages: Pages) -> None:
    opened(page, pages, ROOM)
    page.get_by_role("button", name="Saved views").click()
    page.get_by_label("Save this view as").fill("hot *room*")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved as hot *room*.")).to_be_visible()
    opened(page, pages, "/explore")
    page.get_by_role("button", name="Saved views").click()
    expect(page.get_by_role("combobox", name="View")).to_have_value("hot *room*")
    page.get_by_test_id("stBaseButton-primary").filter(has_text="Open").click()
    page.wait_for_url(f"**m=room&f=temperature&n={DEVICE}*")
    expect(page.get_by_role("combobox", name="Measurement")).to_have_value("room")
    expect(page.locator(".js-plotly-plot .scatterlayer .trace")).to_have_count(1)


def test_what_devices_send_is_shown_as_text(page: Page, pages: Pages) -> None:
    pages.device.send("log", json.dumps({"level": "error", "source": "x", "message": HOSTILE}))
    wait_until(lambda: pages.get("/logs", text="broken in")["items"], 60, "the log record is stored")
    opened(page, pages, f"/node?node={DEVICE}")
    expect(page.get_by_text("hostile<b>").first).to_be_attached()
    page.get_by_role("tab", name="Logs").click()
    expect(page.get_by_test_id("stDataFrame").locator("td").filter(has_text="onerror").first).to_be_attached()
    opened(page, pages, f"/explore?m=room&f=hostile%3Cb%3E&n={DEVICE}")
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    assert "broken in" not in page.title()
    assert page.locator("img[src='x']").count() == 0
