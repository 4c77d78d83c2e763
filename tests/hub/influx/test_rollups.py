"""Roll-ups made again, and their lines."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from hub.config import RetentionSettings
from hub.influx.again import roll_up_again
from hub.influx.rollups import rolled_up_lines
from hub.influx.setup import Asked
from hub.influx.steps import SetupFailed
from hub.store.catalog import BOOLEAN, NUMBER, Catalog
from hub.store.duck_export import RollUps
from hub.store.line_protocol import LineEncoder
from tests.support.influx import ORG, TOKEN, Influxd, VictoriaMetrics
from tests.support.influx_api import Api3
from tests.support.provisioned import provision, settings_for
from tests.support.scripted_http import Request, Response, ScriptedServer, says
from tests.support.stores import HOUR_NS, MINUTE_NS, NOON, ROOM

if TYPE_CHECKING:
    from pathlib import Path

    from hub.config import Settings


def again(settings: Settings, start_ns: int, stop_ns: int) -> list[tuple[int, int, str]]:
    steps: list[tuple[int, int, str]] = []
    asyncio.run(roll_up_again(settings, start_ns, stop_ns, lambda *step: steps.append(step)))
    return steps


def settings_at(influxd: Influxd, state: Path, database: str, **more: Any) -> Settings:
    token = {"token": TOKEN, "org": ORG} if influxd.generation > 1 else {}
    return settings_for(state, influxd.url, database, **token, **more)


def test_rows_that_came_too_late_are_rolled_up_again(influxd: Influxd, tmp_path: Path) -> None:
    settings = settings_at(influxd, tmp_path, "again", retention=RetentionSettings(raw=10_000 * 86_400.0))
    (tmp_path / "admin-token").write_text(TOKEN)
    provision(settings, Asked(admin_token_file=tmp_path / "admin-token"))

    def counts(name: str) -> list[int]:
        found = influxd.ask(f"SELECT count_a FROM {name}.room", "again")  # noqa: S608  names of our own
        return [row[1] for row in found[0]["values"]]

    influxd.write("again", "\n".join(f"room,node=x a={i} {NOON + i * MINUTE_NS}" for i in range(0, 600, 2)))
    again(settings, NOON, NOON + 10 * HOUR_NS)
    assert (counts("rollup_1m"), counts("rollup_1h")) == ([1] * 300, [30] * 10)
    influxd.write("again", "\n".join(f"room,node=x a={i} {NOON + i * MINUTE_NS}" for i in range(1, 600, 2)))
    steps = again(settings, NOON + 5 * HOUR_NS, NOON + 10 * HOUR_NS)
    assert counts("rollup_1h") == [30] * 5 + [60] * 5
    assert counts("rollup_1m") == [1] * (150 + 300)
    assert steps[-1][0] == steps[-1][1] == 2


def test_a_database_without_roll_ups_says_who_makes_them(influxd: Influxd, tmp_path: Path) -> None:
    settings = settings_at(influxd, tmp_path, influxd.create())
    with pytest.raises(SetupFailed, match="`iothub influx setup` makes them"):
        again(settings, NOON, NOON + HOUR_NS)


def test_victoria_metrics_has_none(tmp_path: Path) -> None:
    with VictoriaMetrics(tmp_path / "vm") as server, pytest.raises(SetupFailed, match="has no roll-ups"):
        again(settings_for(tmp_path, server.url, "iot"), NOON, NOON + HOUR_NS)


def test_on_3x_the_hub_makes_them(tmp_path: Path) -> None:
    async def main() -> None:
        answer = Api3(asks=False).answer
        async with ScriptedServer(answer).running() as server:
            await roll_up_again(settings_for(tmp_path, server.url, "iot"), NOON, NOON + HOUR_NS, lambda *_: None)

    with pytest.raises(SetupFailed, match="the hub makes its roll-ups"):
        asyncio.run(main())


def test_on_2x_a_flux_program_makes_them(tmp_path: Path) -> None:
    asked: list[tuple[dict[str, str], dict[str, str]]] = []

    def answer(request: Request) -> Response:
        if request.path == "/ping":
            return Response(204, headers={"X-Influxdb-Version": "v2.7.11"})
        if request.path == "/query":
            rows = [["autogen", "0s", "168h0m0s", 1, True], ["rollup_1m", "0s", "168h0m0s", 1, False]]
            columns = ["name", "duration", "shardGroupDuration", "replicaN", "default"]
            return says(200, results=[{"statement_id": 0, "series": [{"columns": columns, "values": rows}]}])
        if request.path == "/api/v2/query":
            asked.append((request.query, json.loads(request.body)))
        return Response(200)

    async def main() -> None:
        async with ScriptedServer(answer).running() as server:
            settings = settings_for(tmp_path, server.url, "iot", org="home", token="t")
            await roll_up_again(settings, NOON, NOON + 7 * HOUR_NS, lambda *_: None)

    asyncio.run(main())
    assert [query for query, _ in asked] == [{"org": "home"}] * 2
    assert [body["type"] for _, body in asked] == ["flux"] * 2
    spans = [body["query"].partition("range(")[2].partition(")")[0] for _, body in asked]
    assert spans == [
        "start: 2025-11-22T12:00:00Z, stop: 2025-11-22T18:00:00Z",
        "start: 2025-11-22T18:00:00Z, stop: 2025-11-22T19:00:00Z",
    ]


def test_lines_of_roll_ups_have_an_integer_count_and_leave_booleans_out() -> None:
    catalog = Catalog()
    number, boolean = catalog.id_of(ROOM, "a b", NUMBER), catalog.id_of(ROOM, "door", BOOLEAN)
    names = ("count", "sum", "min", "max", "first", "last", "mean")
    columns = {name: np.array([2.0 + i, 9.0]) for i, name in enumerate(names)}
    rows = RollUps(np.array([number, boolean], np.int32), np.array([NOON, NOON]), columns)
    assert rolled_up_lines(LineEncoder(), catalog, rows) == [
        (
            "room,node=dev1 sum_a\\ b=3.0,min_a\\ b=4.0,max_a\\ b=5.0,first_a\\ b=6.0,last_a\\ b=7.0,mean_a\\ b=8.0,"
            f"count_a\\ b=2i {NOON}"
        )
    ]
