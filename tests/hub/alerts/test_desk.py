from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from hub.alerts.book import AlertFilter
from hub.alerts.desk import NoSuchSilence
from hub.alerts.lifecycle import NoSuchAlert
from hub.alerts.model import AlertState, Change
from hub.alerts.saying import RESOLVED_KEPT_S
from hub.nodes.database import RegistryError
from hub.rules.events import EventKind, Severity
from tests.support.alerting import T0, Office, S, event, office
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


def at_work(folder: Path, scenario: Callable[[Office], Awaitable[None]]) -> None:
    async def run() -> None:
        async with office(folder) as made:
            await scenario(made)

    asyncio.run(run())


def test_an_alert_is_said_on_its_topic_stored_and_told(tmp_path: Path) -> None:
    async def scenario(made: Office) -> None:
        made.fire()
        await eventually(lambda: made.broker.said and made.points and made.told)
        topic, said, expiry_s = made.broker.said[0]
        assert (topic, expiry_s) == ("iot/v1/boiler/alert/hot", None)
        assert (said["state"], said["severity"], said["open"]) == ("firing", "warning", 1)
        assert said["alerts"] == [
            {
                "id": 1,
                "series": "room.temperature",
                "state": "firing",
                "severity": "warning",
                "message": "it is hot",
                "since": T0 // 1_000_000,
                "value": 31.5,
            }
        ]
        (point,) = made.points
        assert (point.key.node, point.key.measurement, dict(point.key.tags)) == (
            "boiler",
            "alert",
            {"rule": "hot", "series": "room.temperature"},
        )
        assert point.fields == {
            "state": "firing",
            "severity": "warning",
            "change": "firing",
            "message": "it is hot",
            "id": 1.0,
        }

    at_work(tmp_path, scenario)


def test_several_series_of_a_rule_share_a_topic_worst_first(tmp_path: Path) -> None:
    async def scenario(made: Office) -> None:
        made.fire(tags=(("wall", "north"),))
        made.fire(tags=(("wall", "south"),), severity=Severity.CRITICAL)
        await eventually(lambda: made.broker.said)
        _, said, _ = made.broker.said[-1]
        assert (said["severity"], said["open"]) == ("critical", 2)
        assert [item["series"] for item in said["alerts"]] == [
            "room.temperature{wall=south}",
            "room.temperature{wall=north}",
        ]
        made.desk.apply([event(EventKind.RESOLVED, 1, tags=(("wall", "south"),))])
        await eventually(lambda: made.broker.said[-1][1]["open"] == 1)
        assert made.broker.said[-1][1]["severity"] == "warning"

    at_work(tmp_path, scenario)


def test_the_end_of_the_last_stays_on_the_topic_for_a_while(tmp_path: Path) -> None:
    async def scenario(made: Office) -> None:
        made.fire()
        made.desk.apply([event(EventKind.RESOLVED, 60, message="it is cool")])
        await eventually(lambda: made.broker.states()[-1:] == ["resolved"])
        assert made.broker.said[-1][2] == RESOLVED_KEPT_S
        await eventually(lambda: len(made.points) == 2)
        assert made.points[-1].fields["state"] == "resolved"

    at_work(tmp_path, scenario)


def test_what_is_pending_is_neither_said_nor_kept(tmp_path: Path) -> None:
    async def scenario(made: Office) -> None:
        made.desk.apply([event(EventKind.PENDING), event(EventKind.CANCELLED, 1), event(EventKind.PENDING, 2)])
        await eventually(lambda: len(made.told) == 3)
        assert (made.broker.said, made.points) == ([], [])
        assert await made.book.page(AlertFilter(), before=None, limit=9) == ([], 0)

    at_work(tmp_path, scenario)


def test_after_a_crash_open_alerts_are_there_said_again_and_go_on(tmp_path: Path) -> None:
    async def before(made: Office) -> None:
        made.fire()
        await eventually(lambda: made.broker.said)
        await made.desk.acknowledge(1, by="jo")

    async def after(made: Office) -> None:
        await eventually(lambda: made.broker.states() == ["acknowledged"])
        made.fire()
        made.desk.apply([event(EventKind.RESOLVED, 60)])
        await eventually(lambda: made.broker.states()[-1] == "resolved")
        await made.clerk.written()
        assert [row.change for row in await made.book.history(1)] == [
            Change.FIRING,
            Change.ACKNOWLEDGED,
            Change.RESOLVED,
        ]
        made.fire(at_s=90)
        assert [alert.id for alert in made.desk.now] == [2], "numbers are not used again"

    at_work(tmp_path, before)
    at_work(tmp_path, after)


def test_what_could_not_be_said_or_stored_before_a_crash_is_said_and_stored_after_it(tmp_path: Path) -> None:
    async def before(made: Office) -> None:
        made.broker.down = made.store_down = True
        made.fire()
        made.desk.apply([event(EventKind.RESOLVED, 60)])
        await eventually(lambda: len(made.told) == 2)

    async def after(made: Office) -> None:
        await eventually(lambda: made.broker.states() == ["resolved"])
        await eventually(lambda: [point.fields["state"] for point in made.points] == ["firing", "resolved"])

    at_work(tmp_path, before)
    at_work(tmp_path, after)


def test_states_are_said_when_the_broker_is_back(tmp_path: Path) -> None:
    async def scenario(made: Office) -> None:
        made.broker.down = True
        made.fire()
        await eventually(lambda: made.told)
        assert made.broker.said == []
        made.broker.down = False
        made.clerk.repeat()
        await eventually(lambda: made.broker.states() == ["firing"])

    at_work(tmp_path, scenario)


def test_alerts_go_out_while_the_registry_cannot_be_written_and_actions_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(made: Office) -> None:
        write, failing = made.book.write, True

        async def fail(*given: Any) -> None:
            if failing:
                raise RegistryError("disk full")
            await write(*given)

        monkeypatch.setattr(made.book, "write", fail)
        made.fire()
        await eventually(lambda: made.broker.states() == ["firing"])
        with pytest.raises(RegistryError, match="disk full"):
            await made.desk.acknowledge(1, by="jo")
        assert made.desk.now[0].state is AlertState.ACKNOWLEDGED
        failing = False
        await made.clerk.written()
        assert [row.change for row in await made.book.history(1)] == [Change.FIRING, Change.ACKNOWLEDGED]

    at_work(tmp_path, scenario)


def test_a_silence_covers_by_globs_until_its_end_and_is_shown_on_the_topic(tmp_path: Path) -> None:
    async def scenario(made: Office) -> None:
        made.fire()
        await eventually(lambda: made.broker.said)
        turned: list[None] = []
        made.desk.on_silence = lambda: turned.append(None)
        silence = await made.desk.silence(rule="h*", node="boil*", ends_ns=T0 + 60 * S, by="jo", why="cleaning")
        await eventually(lambda: len(made.broker.said) == 2)
        assert made.broker.said[-1][1]["alerts"][0]["silenced_until"] == silence.ends_ns // 1_000_000
        (alert,) = made.desk.now
        assert made.silences.of(alert) == silence
        made.now_ns += 60 * S
        assert made.silences.of(alert) is None
        made.desk.tick(made.now_ns)
        await eventually(lambda: len(made.broker.said) == 3)
        assert "silenced_until" not in made.broker.said[-1][1]["alerts"][0]
        assert len(turned) == 2, "when it began, and when it ended"

    at_work(tmp_path, scenario)


def test_silences_outlive_a_restart_until_they_are_lifted(tmp_path: Path) -> None:
    async def before(made: Office) -> None:
        await made.desk.silence(rule="*", node="boiler", ends_ns=T0 + 60 * S, by="jo", why="cleaning")

    async def after(made: Office) -> None:
        made.fire()
        (alert,) = made.desk.now
        assert made.silences.of(alert) is not None
        await made.desk.unsilence(1, by="kim")
        assert made.silences.of(alert) is None
        with pytest.raises(NoSuchSilence, match="no silence 1 that still holds"):
            await made.desk.unsilence(1, by="kim")

    async def later(made: Office) -> None:
        made.fire()
        assert made.silences.of(made.desk.now[0]) is None

    at_work(tmp_path, before)
    at_work(tmp_path, after)
    at_work(tmp_path, later)


def test_an_alert_that_is_over_takes_remarks_and_nothing_else(tmp_path: Path) -> None:
    async def scenario(made: Office) -> None:
        made.fire()
        made.desk.apply([event(EventKind.RESOLVED, 60)])
        await made.clerk.written()
        with pytest.raises(NoSuchAlert):
            await made.desk.acknowledge(1, by="jo")
        await made.desk.comment(1, by="jo", why="it was the pump")
        last = (await made.book.history(1))[-1]
        assert (last.change, last.by, last.why) == (Change.COMMENTED, "jo", "it was the pump")
        with pytest.raises(NoSuchAlert):
            await made.desk.comment(2, by="jo", why="which?")

    at_work(tmp_path, scenario)


def test_lists_are_paged_filtered_and_newest_first(tmp_path: Path) -> None:
    async def scenario(made: Office) -> None:
        for i in range(5):
            made.fire(at_s=i, node=f"n{i}", rule="hot_1" if i % 2 else "hotX1")
        await made.clerk.written()
        first, total = await made.book.page(AlertFilter(), before=None, limit=3)
        assert ([alert.node for alert in first], total) == (["n4", "n3", "n2"], 5)
        last = first[-1]
        rest, _ = await made.book.page(AlertFilter(), before=(last.fired_ns or 0, last.id), limit=3)
        assert [alert.node for alert in rest] == ["n1", "n0"]
        some, _ = await made.book.page(AlertFilter(rule="hot_*"), before=None, limit=9)
        assert [alert.node for alert in some] == ["n3", "n1"], "_ is no wildcard"

    at_work(tmp_path, scenario)


def test_old_alerts_are_dropped_and_open_ones_kept(tmp_path: Path) -> None:
    async def scenario(made: Office) -> None:
        made.fire(node="old")
        made.desk.apply([event(EventKind.RESOLVED, 60, node="old")])
        made.fire(node="open")
        await made.clerk.written()
        assert await made.book.maintain(T0 + 3600 * S) == 1
        rows, _ = await made.book.page(AlertFilter(), before=None, limit=9)
        assert [alert.node for alert in rows] == ["open"]

    at_work(tmp_path, scenario)
