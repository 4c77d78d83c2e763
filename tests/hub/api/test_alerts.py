"""``/alerts``, ``/silences``, and what ``WS live`` says of alerts and statistics."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import websockets

from hub.alerts.stats import Stats
from hub.config_alerts import StatsSettings
from hub.live import AlertEvent
from hub.nodes.callers import Role
from hub.rules.engine import Engine
from hub.rules.events import EventKind
from hub.rules.model import RuleSet
from tests.support.alerting import T0, Office, S, event, office
from tests.support.api import Api, bearer, running_api
from wire.point import Point, SeriesKey
from wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path


class Said:
    """Takes what is published on topics of statistics."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, Any]] = []

    async def publish(self, topic: str, payload: bytes, **_: object) -> int:
        self.messages.append((topic, json.loads(payload)))
        return 0


@contextlib.asynccontextmanager
async def api_with_alerts(folder: Path) -> AsyncIterator[tuple[Api, Office, Any]]:
    (folder / "desk").mkdir()
    async with running_api(folder) as api, office(folder / "desk") as made:
        engine, said = Engine(RuleSet()), Said()
        wanted = [StatsSettings(metric="room.temperature")]
        stats = Stats(engine.windows, wanted, api.parts.live, said, Topics())
        alerting: Any = SimpleNamespace(desk=made.desk, stats=stats, engine=engine, said=said)
        api.app.state.parts = replace(api.parts, alerting=alerting)
        yield api, made, alerting


def run(folder: Path, test: Callable[[Api, Office, Any], Awaitable[None]]) -> None:
    async def scenario() -> None:
        async with api_with_alerts(folder) as (api, made, alerting):
            await test(api, made, alerting)

    asyncio.run(scenario())


def test_alerts_are_listed_by_state_and_page(tmp_path: Path) -> None:
    async def test(api: Api, made: Office, _: Any) -> None:
        for i in range(5):
            made.fire(at_s=i, node=f"n{i}")
        made.desk.apply([event(EventKind.RESOLVED, 60, node="n0"), event(EventKind.PENDING, node="later")])
        await made.clerk.written()
        pages = [page["items"] async for page in api.pages("/api/v1/alerts", limit=3)]
        assert [[item["node"] for item in page] for page in pages] == [["n4", "n3", "n2"], ["n1"]]

        async def nodes(**chosen: str) -> list[str]:
            answer = await api.http.get("/api/v1/alerts", params=chosen)
            return [item["node"] for item in answer.json()["items"]]

        assert await nodes(state="resolved") == ["n0"]
        assert await nodes(state="pending") == ["later"]
        assert len(await nodes(state="all")) == 5
        assert await nodes(node="n[12]*") == ["n2", "n1"]
        assert await nodes(node="n[!1-3]") == ["n4"]
        assert (await nodes(node="N?"), await nodes(node="n2"), await nodes(rule="h?t", node="n3")) == (
            [],
            ["n2"],
            ["n3"],
        )
        assert await nodes(rule="%", node="n_") == [], "no pattern of SQL's"
        globbed = [page async for page in api.pages("/api/v1/alerts", limit=2, node="n[1-3]")]
        assert [[item["node"] for item in page["items"]] for page in globbed] == [["n3", "n2"], ["n1"]]
        assert globbed[0]["total"] == 3
        assert await nodes(node="n?", severity="critical") == []

    run(tmp_path, test)


def test_an_alert_is_acknowledged_assigned_and_commented_in_the_name_of_the_caller(tmp_path: Path) -> None:
    async def test(api: Api, made: Office, _: Any) -> None:
        made.fire()
        answer = await api.http.post("/api/v1/alerts/1/ack", json={"why": "on my way"})
        assert (answer.status_code, answer.json()["state"], answer.json()["acknowledged_by"]) == (
            200,
            "acknowledged",
            "admin",
        )
        assert (await api.http.post("/api/v1/alerts/1/assign", json={"to": "kim"})).json()["assignee"] == "kim"
        assert (await api.http.post("/api/v1/alerts/1/comment", json={"why": "a fan"})).status_code == 200
        shown = (await api.http.get("/api/v1/alerts/1")).json()
        assert [(row["change"], row["by"], row["why"]) for row in shown["history"]] == [
            ("firing", "", ""),
            ("acknowledged", "admin", "on my way"),
            ("assigned", "admin", "to kim"),
            ("commented", "admin", "a fan"),
        ]

    run(tmp_path, test)


def test_what_cannot_be_acknowledged_is_refused_with_the_reason(tmp_path: Path) -> None:
    async def test(api: Api, made: Office, _: Any) -> None:
        made.fire()
        made.desk.apply([event(EventKind.RESOLVED, 60), event(EventKind.PENDING, node="later")])
        await made.clerk.written()
        answers = [await api.http.post(f"/api/v1/alerts/{number}/ack") for number in (1, 2, 9)]
        assert [(answer.status_code, answer.json()["type"].rpartition(":")[2]) for answer in answers] == [
            (409, "alert-over"),
            (409, "alert-pending"),
            (404, "no-alert"),
        ]

    run(tmp_path, test)


def test_who_may_only_read_changes_nothing(tmp_path: Path) -> None:
    async def test(api: Api, made: Office, _: Any) -> None:
        made.fire()
        viewer = await api.token_of(Role.VIEWER)
        assert (await api.anyone.get("/api/v1/alerts", headers=viewer)).status_code == 200
        body = {"node": "boiler", "ends": "+1h", "why": "x"}
        refused = [
            await api.anyone.post("/api/v1/alerts/1/ack", headers=viewer),
            await api.anyone.post("/api/v1/silences", headers=viewer, json=body),
            await api.anyone.delete("/api/v1/silences/1", headers=viewer),
        ]
        assert [answer.status_code for answer in refused] == [403, 403, 403]

    run(tmp_path, test)


def test_silences_are_added_listed_and_lifted(tmp_path: Path) -> None:
    async def test(api: Api, made: Office, _: Any) -> None:
        body = {"rule": "hot", "node": "boil*", "ends": "+2h", "why": "cleaning"}
        made.now_ns = api.clock()
        added = await api.http.post("/api/v1/silences", json=body)
        assert (added.status_code, added.json()["active"], added.json()["by"]) == (201, True, "admin")
        made.now_ns = api.clock()
        made.fire()
        await made.clerk.written()
        (alert,) = (await api.http.get("/api/v1/alerts")).json()["items"]
        assert alert["silenced_until"] == added.json()["ends"]
        assert (await api.http.delete("/api/v1/silences/1")).status_code == 204
        assert (await api.http.delete("/api/v1/silences/1")).status_code == 404
        assert (await api.http.get("/api/v1/silences")).json()["items"] == []
        assert len((await api.http.get("/api/v1/silences?ended=true")).json()["items"]) == 1
        past = await api.http.post("/api/v1/silences", json={**body, "ends": "-2h"})
        assert (past.status_code, past.json()["errors"][0]["where"]) == (422, "body.ends")

    run(tmp_path, test)


@contextlib.asynccontextmanager
async def following(api: Api, **wanted: Any) -> AsyncIterator[Any]:
    url = api.url.replace("http", "ws", 1) + "/api/v1/live"
    async with asyncio.timeout(20), websockets.connect(url, additional_headers=bearer(api.token)) as client:
        await client.send(json.dumps(wanted))
        assert json.loads(await client.recv()) == {"type": "ready"}
        yield client


def test_changes_of_alerts_are_live_events(tmp_path: Path) -> None:
    async def test(api: Api, made: Office, _: Any) -> None:
        async with following(api, types=["alert"], node="boil*") as client:
            for node in ("other", "boiler"):
                (change,) = made.life.apply(event(EventKind.FIRING, node=node))
                api.parts.live.publish(AlertEvent(change))
            shown = json.loads(await client.recv())
        assert (shown["type"], shown["change"], shown["node"], shown["rule"], shown["state"]) == (
            "alert",
            "firing",
            "boiler",
            "hot",
            "firing",
        )

    run(tmp_path, test)


def test_statistics_are_kept_for_who_asks_and_published_where_the_settings_say(tmp_path: Path) -> None:
    async def test(api: Api, _: Office, alerting: Any) -> None:
        def sample(field: str, at_s: int, value: float) -> Point:
            return Point(SeriesKey("boiler", "room"), T0 + at_s * S, {field: value})

        async with following(api, types=["stats"], measurement="room", window_s=10) as client:
            await asyncio.sleep(0.1)  # the subscription is made after the answer
            alerting.engine.observe([sample(f, i, float(i)) for i in (1, 2, 3) for f in ("temperature", "door")], T0)
            await alerting.stats.tell(T0)
            frames = [json.loads(await client.recv()) for _ in range(2)]
        by_window = {frame["window_s"]: frame["series"] for frame in frames}
        assert {each["field"] for each in by_window[10.0]} == {"temperature", "door"}
        (one,) = (each for each in by_window[10.0] if each["field"] == "door")
        assert (one["count"], one["mean"], one["min"], one["max"], one["stddev"]) == (3, 2.0, 1.0, 3.0, 1.0)
        ((topic, said),) = alerting.said.messages
        assert (topic, said["window_s"]) == ("iot/v1/boiler/stats/room", 60.0)
        assert [each["field"] for each in said["series"]] == ["temperature"]

    run(tmp_path, test)
