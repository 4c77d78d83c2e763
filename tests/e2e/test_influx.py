"""The real hub with a real broker and a real InfluxDB: what devices send is there, as Grafana and others find it."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from bench.hub import HubProcess
from tests.support.influx import ORG, TOKEN, Influxd
from tests.support.mosquitto import Mosquitto
from tests.support.node import pub
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW_MS = time.time_ns() // 1_000_000


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def influxd(tmp_path: Path) -> Influxd:
    """Not started yet."""
    return Influxd(tmp_path / "influxd")


def hub_on(tmp_path: Path, broker: Mosquitto, influxd: Influxd, database: str) -> HubProcess:
    settings = {
        "IOTHUB_STORE__KIND": "influx",
        "IOTHUB_STORE__INFLUX__URL": influxd.url,
        "IOTHUB_STORE__INFLUX__DATABASE": database,
        "IOTHUB_STORE__INFLUX__GZIP": "true",
    }
    if influxd.generation > 1:
        settings |= {"IOTHUB_STORE__INFLUX__TOKEN": TOKEN, "IOTHUB_STORE__INFLUX__ORG": ORG}
    return HubProcess(tmp_path / "var", broker.port, settings)


def send(broker: Mosquitto, node: str, measurement: str, second: int, **values: Any) -> None:
    payload = {"ts": NOW_MS + 1000 * second, "values": values, "tags": {"floor": "1"}}
    pub(broker, f"iot/v1/{node}/telemetry/{measurement}", json.dumps(payload), "-q", "1")


def has_counted(hub: HubProcess, outcome: str, messages: float) -> bool:
    return hub.metrics().get(f'iothub_messages_total{{outcome="{outcome}"}}', 0.0) == messages


def rows(influxd: Influxd, database: str, query: str) -> list[list[Any]]:
    return [row for series in influxd.ask(query, database) for row in series["values"]]


def test_values_and_logs_arrive_and_a_line_that_influxdb_refuses_is_in_the_rejects(
    tmp_path: Path, broker: Mosquitto, influxd: Influxd
) -> None:
    with influxd:
        database = influxd.create("iot")
        with hub_on(tmp_path, broker, influxd, database) as hub:
            hub.wait_linked()
            # Only now: what the hub finds at its start it does not write beside.
            assert influxd.write(database, f"room,node=other poisoned=1i {NOW_MS}000000") == 204
            send(broker, "dev1", "room", 0, temperature=21.5, door=True, state="open")
            send(broker, "dev1", "room", 1, poisoned=7)
            send(broker, "dev1", "room", 2, temperature=22)
            record = {
                "ts": NOW_MS,
                "level": "error",
                "source": "nginx",
                "message": "bad gateway",
                "fields": {"status": 502},
            }
            pub(broker, "iot/v1/dev1/log", json.dumps(record), "-q", "1")

            query = "SELECT temperature, door, state FROM room WHERE node = 'dev1' AND floor = '1'"
            wait_until(lambda: len(rows(influxd, database, query)) == 2, 60, "both points are in InfluxDB")
            ns = NOW_MS * 1_000_000
            assert rows(influxd, database, query) == [
                [ns, 21.5, True, "open"],
                [ns + 2_000_000_000, 22, None, None],
            ]
            wait_until(lambda: hub.get("rejects")["items"], 60, "the refused message is kept")
            (refused,) = hub.get("rejects")["items"]
            assert refused["reason"] == "store-refused"
            assert "InfluxDB refused it: " in refused["detail"]
            assert "type" in refused["detail"]

            wait_until(lambda: hub.get("logs", node="dev1")["items"], 60, "the log record is there")
            (found,) = hub.get("logs", node="dev1")["items"]
            assert (found["level"], found["source"], found["message"]) == ("error", "nginx", "bad gateway")
            (series,) = hub.get("query", node="dev1", measurement="room", field="temperature", start=NOW_MS)["series"]
            assert series["values"] == [21.5, 22.0]


def test_nodes_that_give_a_field_different_types_are_all_stored_and_nothing_is_refused(
    tmp_path: Path, broker: Mosquitto, influxd: Influxd
) -> None:
    with influxd:
        database = influxd.create("iot")
        assert influxd.write(database, f'room,node=other whole=1i,word="x" {NOW_MS}000000') == 204
        for second in (0, 1):  # once as the nodes meet, once as the hub finds it at its start
            with hub_on(tmp_path, broker, influxd, database) as hub:
                hub.wait_linked()
                send(broker, "dev1", "room", second, level=20.5, state="open", whole=3, word=4)
                wait_until(partial(has_counted, hub, "stored", 1), 60, "the first node is stored")
                send(broker, "dev2", "room", second, level="high", state=7, whole="many")
                send(broker, "dev3", "room", second, level="21.5", state=True)
                wait_until(partial(has_counted, hub, "stored", 3), 60, "all three are stored")
                assert hub.get("rejects")["items"] == []
                assert hub.metric("iothub_type_clashes_total") == 7
                assert hub.metric("iothub_values_refused_total") == 0
        query = (
            "SELECT level, level_text, state, state_num, whole_num, whole_text, word_num "
            "FROM room WHERE node =~ /dev/ GROUP BY node"
        )
        assert [row[1:] for row in rows(influxd, database, query)] == [
            *[[20.5, None, "open", None, 3, None, 4]] * 2,
            *[[None, "high", None, 7, None, "many", None]] * 2,
            *[[21.5, None, "true", None, None, None, None]] * 2,
        ]


def test_what_comes_again_after_a_restart_is_stored_once(tmp_path: Path, broker: Mosquitto, influxd: Influxd) -> None:
    with influxd:
        database = influxd.create("iot")
        for stored, duplicates in ((5.0, 0.0), (0.0, 5.0)):
            with hub_on(tmp_path, broker, influxd, database) as hub:
                hub.wait_linked()
                for second in range(5):
                    send(broker, "dev1", "room", second, temperature=float(second))

                wait_until(partial(has_counted, hub, "stored", stored), 60, f"{stored} stored")
                wait_until(partial(has_counted, hub, "duplicate", duplicates), 60, f"{duplicates} duplicates")
        assert rows(influxd, database, "SELECT count(temperature) FROM room") == [[0, 5]]


def test_the_hub_starts_without_its_database_and_loses_nothing(
    tmp_path: Path, broker: Mosquitto, influxd: Influxd
) -> None:
    with hub_on(tmp_path, broker, influxd, "iot") as hub:
        hub.wait_linked()
        for second in range(5):
            send(broker, "dev1", "room", second, temperature=float(second))
        with influxd:
            influxd.create("iot")
            query = "SELECT temperature FROM room WHERE node = 'dev1'"
            wait_until(lambda: len(rows(influxd, "iot", query)) == 5, 60, "all values are in InfluxDB")
            hub.stop()
