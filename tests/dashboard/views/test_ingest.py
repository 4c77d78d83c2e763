"""**Ingest**: ledger, refused messages with their bytes, and whether broker and store keep up."""

from __future__ import annotations

import pytest

from tests.support.apps import opened, page, press, words


@pytest.mark.usefixtures("as_viewer")
def test_broker_store_and_spool_are_shown() -> None:
    app = opened("ingest", {"ingest tabs": "Broker and store"})
    figures = {one.label: one.value for one in app.metric}
    assert {"Connection to the broker", "Held by the broker", "Last stored", "Mean time of a write"} <= set(figures)
    assert "nothing has to wait for it" in words(app)


@pytest.mark.usefixtures("as_viewer")
def test_the_ledger_by_hour_is_asked_for_when_somebody_opens_it() -> None:
    assert len(page("ingest").dataframe) == 1
    app = opened("ingest", {"by hour": True})
    assert app.dataframe[1].value["Node"].tolist() == ["boiler"]


@pytest.mark.usefixtures("as_operator")
def test_a_refused_message_is_shown_as_bytes_and_replayed() -> None:
    app = opened("ingest", {"ingest tabs": "Refused messages", "chosen reject": 1})
    assert "3c 73 63 72 69 70 74 3e" in words(app)
    assert "&lt;" not in words(app)
    press(app, "Replay")
    assert "Refused once more: still no JSON" in words(app)


@pytest.mark.usefixtures("as_operator")
def test_a_refused_message_that_has_gone_meanwhile_is_said() -> None:
    app = opened("ingest", {"ingest tabs": "Refused messages", "chosen reject": 99})
    assert not app.exception
    assert not app.error
    assert any("99" in one.value for one in app.info)


@pytest.mark.usefixtures("as_viewer")
def test_a_viewer_replays_nothing() -> None:
    app = opened("ingest", {"ingest tabs": "Refused messages", "chosen reject": 1})
    assert "Replay" not in [one.label for one in app.button]
