"""What operators do in a real browser: commands, alerts, rules, refused messages, users."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.support.dashboard import DEVICE, choose, choose_row, log_in, opened, tab_to, table_with
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from tests.support.dashboard import Pages

pytestmark = pytest.mark.timeout(300)  # browser and hub together, on a busy machine


def test_ping_is_sent_with_the_keyboard_alone_and_its_reply_is_read(page: Page, pages: Pages, shots: Path) -> None:
    opened(page, pages, f"/commands?node={pages.host}")
    tab_to(page, page.get_by_role("button", name="Send", exact=False).first)
    page.keyboard.press("Enter")
    expect(page.get_by_text(": done")).to_be_visible()
    page.screenshot(path=shots / "light-ping.png")


def test_an_alert_is_commented_and_acknowledged_with_the_keyboard(page: Page, pages: Pages, shots: Path) -> None:
    number = hot(pages)["id"]
    opened(page, pages, "/alerts")
    table_with(page, "room-hot")
    tab_to(page, page.get_by_test_id("data-grid-canvas").first, ring=False)
    while "room-hot" not in page.evaluate("document.activeElement.closest('tr')?.textContent ?? ''"):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+Space")
    expect(page.get_by_role("heading", name=f"room-hot on {DEVICE}")).to_be_visible()
    page.get_by_label("Comment").first.fill("who is there?")
    page.get_by_role("button", name="Comment").click()
    expect(table_with(page, "who is there?")).to_be_visible()
    page.get_by_label("Comment").first.fill("window opened")
    page.screenshot(path=shots / "light-alert.png")
    tab_to(page, page.get_by_role("button", name="Acknowledge"))
    page.keyboard.press("Space")
    expect(table_with(page, "window opened")).to_be_visible()
    said = pages.get(f"/alerts/{number}")
    assert (said["state"], said["acknowledged_by"]) == ("acknowledged", "admin")
    assert [one["why"] for one in said["history"] if one["why"]] == ["who is there?", "window opened"]


def test_an_alert_is_kept_quiet_and_the_silence_is_ended(page: Page, pages: Pages) -> None:
    hot(pages)
    opened(page, pages, "/alerts")
    choose_row(page, "room-hot", then=page.get_by_role("heading", name=f"room-hot on {DEVICE}"))
    page.get_by_label("Comment").first.fill("they know")
    page.get_by_role("button", name="Silence for 2 hours").click()
    wait_until(lambda: [one["why"] for one in pages.get("/silences")["items"]] == ["they know"], 60, "it is silenced")
    page.get_by_role("tab", name="Silences").click()
    expect(page.get_by_text(f"Rule room-hot on {DEVICE} until")).to_be_visible()
    page.get_by_role("button", name="End", exact=True).click()
    expect(page.get_by_text("Nothing is kept quiet.")).to_be_visible()
    assert pages.get("/silences")["items"] == []


def hot(pages: Pages) -> dict[str, Any]:
    """The alert about the room, once there is one."""

    def found() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = pages.get("/alerts", node=DEVICE, rule="room-hot")["items"]
        return items

    wait_until(found, 60, "the room is too hot")
    return found()[0]


def test_a_rule_is_tried_on_what_is_stored_and_its_threshold_moved_and_saved(
    page: Page, pages: Pages, shots: Path
) -> None:
    opened(page, pages, "/rules?rule=cpu-here")
    page.get_by_role("tab", name="What would it have done?").click()
    fired = page.get_by_test_id("stMetric").filter(has_text="Would have fired")
    expect(fired).to_contain_text(re.compile("[1-9] ×"))
    expect(page.locator(".js-plotly-plot .scatterlayer .trace").first).to_be_attached()
    page.screenshot(path=shots / "light-backtest.png")
    threshold = page.get_by_role("slider")
    expect(threshold).to_have_value("0.1")
    threshold.focus()
    page.keyboard.press("End")
    expect(threshold).to_have_value("100")
    expect(fired).to_contain_text("0 ×")
    page.get_by_role("button", name="Save it so").click()
    wait_until(lambda: pages.get("/rules/cpu-here")["rule"]["above"] == 100, 60, "it is saved")


def test_a_refused_message_is_shown_with_its_bytes_and_tried_again(page: Page, pages: Pages, shots: Path) -> None:
    opened(page, pages, "/ingest")
    page.get_by_role("tab", name="Refused messages").click()
    choose_row(page, "not-json", then=page.get_by_test_id("stCode").get_by_text("{not json").first)
    page.screenshot(path=shots / "light-reject.png")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("Refused once more")).to_be_visible()


def test_a_user_who_is_added_logs_in_and_sees_the_nodes_of_his_group_only(
    page: Page, pages: Pages, browser: Browser
) -> None:
    opened(page, pages, "/admin")
    page.get_by_role("tab", name="Users").click()
    form = page.get_by_test_id("stForm").filter(has_text="Add a user")
    form.get_by_label("Name").fill("bea")
    form.get_by_text("Sees all nodes").click()
    choose(page, "If not all: only nodes of these groups", "lab", within=form)
    page.keyboard.press("Escape")
    form.get_by_role("button", name="Add").click()
    expect(page.get_by_text("The password is shown this once:")).to_be_visible()
    password = page.get_by_test_id("stCode").locator("visible=true").inner_text().strip()
    with browser.new_context() as context:
        theirs = context.new_page()
        log_in(theirs, pages, password, user="bea")
        expect(theirs.get_by_text("Signed in as bea (viewer)")).to_be_visible()
        expect(theirs.get_by_test_id("stMetric").filter(has_text="Nodes online")).to_contain_text("of 1")
        table = table_with(theirs, DEVICE)
        expect(table.locator("td").filter(has_text=pages.host)).to_have_count(0)
        opened(theirs, pages, "/commands")
        expect(theirs.get_by_role("button", name="Send").first).to_be_disabled()
