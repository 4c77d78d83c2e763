"""``iothub doctor`` against a real InfluxDB: whole, stopped, closed to us, and lacking what is needed."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import httpx
import pytest

from hub.cli.doctor_influx import _clock, examine_influx
from hub.config import RetentionSettings, Settings
from hub.influx.setup import Asked
from tests.support.influx import ORG, TOKEN, Influxd, VictoriaMetrics
from tests.support.mosquitto import free_port
from tests.support.provisioned import provision, settings_for
from tests.support.scripted_http import Response, ScriptedServer, says

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.cli.finding import Finding
    from tests.support.scripted_http import Request


@pytest.fixture(scope="module")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    with Influxd(tmp_path_factory.mktemp("influxd")) as server:
        yield server


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Influxd]:
    server = Influxd(tmp_path / "guarded", http="  auth-enabled = true")
    if server.generation > 1:
        pytest.skip("2.x has tokens alone")
    with server:
        yield server


def examined(settings: Settings) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine_influx(settings)}


def at(influxd: Influxd, tmp_path: Path, database: str, **more: Any) -> Settings:
    token = {"token": TOKEN, "org": ORG} if influxd.generation > 1 else {}
    return settings_for(tmp_path, influxd.url, database, **{**token, **more})


def test_a_store_that_is_not_influxdb_is_not_looked_at() -> None:
    assert list(examine_influx(Settings())) == []


def test_a_database_that_was_set_up_is_well(influxd: Influxd, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    settings = at(influxd, tmp_path, "doctor-well")
    provision(settings, Asked(admin_token_file=token))
    found = examined(settings)
    assert {name: finding.verdict for name, finding in found.items()} == dict.fromkeys(
        ("InfluxDB", "· clock", "· credentials", "· database", "· probe"), "ok"
    )
    assert f"InfluxDB {influxd.generation}.x" in found["InfluxDB"].text
    assert "keeps 31 d; roll-ups are there" in found["· database"].text


def test_a_database_that_does_not_exist_is_named(influxd: Influxd, tmp_path: Path) -> None:
    found = examined(at(influxd, tmp_path, "nowhere"))
    assert found["InfluxDB"].verdict == "ok"
    assert found["· database"].verdict == "failed"
    assert "'nowhere'" in found["· database"].text
    assert "`iothub influx setup` makes it" in found["· database"].text
    assert "· probe" not in found


def test_a_database_without_roll_ups_works_and_says_how_to_get_them(influxd: Influxd, tmp_path: Path) -> None:
    found = examined(at(influxd, tmp_path, influxd.create("doctor-bare")))
    assert {finding.verdict for finding in found.values()} == {"ok"}
    assert "no rollup_1h and rollup_1m: long ranges are slow, `iothub influx setup`" in found["· database"].text


def test_a_retention_that_is_too_short_is_found(influxd: Influxd, tmp_path: Path) -> None:
    if influxd.generation > 1:
        pytest.skip("retention policies are made as InfluxQL here, which is 1.x alone")
    influxd.ask('CREATE DATABASE "doctor-short" WITH DURATION 2d')
    found = examined(at(influxd, tmp_path, "doctor-short"))
    assert found["· retention"].verdict == "failed"
    assert "keeps 2 d, [store.retention] asks for 30 d" in found["· retention"].text
    keep = RetentionSettings(raw=86_400.0, logs=86_400.0)
    assert "· retention" not in examined(at(influxd, tmp_path, "doctor-short", retention=keep))


def test_a_retention_policy_that_does_not_exist_is_named(influxd: Influxd, tmp_path: Path) -> None:
    influxd.create("doctor-policy")
    found = examined(at(influxd, tmp_path, "doctor-policy", retention_policy="raw"))
    assert found["· database"].verdict == "failed"
    assert "has no retention policy 'raw', only: autogen" in found["· database"].text


def leads_elsewhere(influxd: Influxd, database: str) -> None:
    """A DBRP mapping of this name to a bucket of another."""
    headers = {"Authorization": f"Token {TOKEN}"}
    with httpx.Client(base_url=influxd.url, headers=headers, timeout=30) as http:
        (other,) = http.get("/api/v2/buckets", params={"name": influxd.create()}).json()["buckets"]
        body = {
            "bucketID": other["id"], "orgID": other["orgID"], "database": database,
            "retention_policy": "autogen", "default": True,
        }  # fmt: skip
        http.post("/api/v2/dbrps", json=body).raise_for_status()


def test_a_mapping_that_leads_to_another_bucket_is_found(influxd: Influxd, tmp_path: Path) -> None:
    if influxd.generation == 1:
        pytest.skip("1.x has no DBRP mappings")
    database = influxd.create("doctor-dbrp")
    assert examined(at(influxd, tmp_path, database))["· probe"].verdict == "ok"
    leads_elsewhere(influxd, database)
    found = examined(at(influxd, tmp_path, database))
    assert found["· database"].verdict == "ok"
    assert found["· probe"].verdict == "failed"
    assert "does database 'doctor-dbrp' (DBRP) lead to the same bucket?" in found["· probe"].text


def as_2_with_a_wrong_mapping(request: Request) -> Response:
    """InfluxDB 2.x as documented: a bucket takes what is written, InfluxQL reads another."""
    if request.path == "/ping":
        return Response(204, headers={"X-Influxdb-Version": "v2.7.12", "Date": formatdate(usegmt=True)})
    if request.path == "/api/v2/write":
        return Response(204)
    if request.path == "/api/v2/buckets":
        return says(200, buckets=[{"name": "iot", "retentionRules": []}])
    if request.path == "/query" and b"RETENTION" in unquote_to_bytes(request.body.replace(b"+", b" ")):
        columns = ["name", "duration", "shardGroupDuration", "replicaN", "default"]
        policies = {"columns": columns, "values": [["autogen", "0s", "168h0m0s", 1, True]]}
        return says(200, results=[{"statement_id": 0, "series": [policies]}])
    return says(200, results=[{"statement_id": 0}])


def test_what_is_taken_and_cannot_be_read_back_points_to_the_mapping(tmp_path: Path) -> None:
    async def main() -> dict[str, Finding]:
        async with ScriptedServer(as_2_with_a_wrong_mapping).running() as server:
            settings = settings_for(tmp_path, server.url, "iot", token="t", org="o", generation="2")
            return await asyncio.to_thread(examined, settings)

    found = asyncio.run(main())
    assert found["· database"].verdict == "ok"
    assert found["· probe"].verdict == "failed"
    assert "does database 'iot' (DBRP) lead to the same bucket?" in found["· probe"].text


def test_a_stopped_server_is_the_only_finding(influxd: Influxd, tmp_path: Path) -> None:
    found = examined(settings_for(tmp_path, f"http://127.0.0.1:{free_port()}", influxd.create()))
    assert list(found) == ["InfluxDB"]
    assert found["InfluxDB"].verdict == "failed"
    assert "is it running, and store.influx.url right?" in found["InfluxDB"].text


def test_a_generation_that_is_not_the_servers_is_named(influxd: Influxd, tmp_path: Path) -> None:
    other = "2" if influxd.generation == 1 else "1"
    found = examined(at(influxd, tmp_path, influxd.create(), generation=other))
    assert found["InfluxDB"].verdict == "failed"
    assert f'set it to "{influxd.generation}" or "auto"' in found["InfluxDB"].text


@pytest.mark.parametrize("who", [{}, {"username": "iothub", "password": "wrong"}])
def test_wrong_credentials_are_told_from_a_missing_database(
    guarded: Influxd, tmp_path: Path, who: dict[str, str]
) -> None:
    provision(settings_for(tmp_path / "var", guarded.url, "iot"))
    found = examined(settings_for(tmp_path / "var", guarded.url, "iot", **who))
    assert found["InfluxDB"].verdict == "ok"
    assert found["· credentials"].verdict == "failed"
    assert "give a token or user that may, in [store.influx]" in found["· credentials"].text
    assert "· database" not in found


def test_a_user_that_may_only_read_fails_the_probe(guarded: Influxd, tmp_path: Path) -> None:
    provision(settings_for(tmp_path / "var", guarded.url, "iot"))
    file = tmp_path / "var" / "secrets" / "influx-grafana-password"
    found = examined(settings_for(tmp_path / "var", guarded.url, "iot", username="grafana", password_file=file))
    assert (found["· credentials"].verdict, found["· probe"].verdict) == ("ok", "failed")
    assert "needs a user or token that may write" in found["· probe"].text


def test_the_hubs_own_user_is_well(guarded: Influxd, tmp_path: Path) -> None:
    provision(settings_for(tmp_path / "var", guarded.url, "iot"))
    file = tmp_path / "var" / "secrets" / "influx-hub-password"
    found = examined(settings_for(tmp_path / "var", guarded.url, "iot", username="iothub", password_file=file))
    assert {finding.verdict for finding in found.values()} == {"ok"}
    assert found["· credentials"].text == "user iothub"


def test_a_password_file_that_is_missing_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none"
    found = examined(settings_for(tmp_path / "var", "http://127.0.0.1:9", "iot", username="x", password_file=missing))
    assert str(missing) in found["InfluxDB"].text
    assert found["InfluxDB"].verdict == "failed"


def test_victoria_metrics_is_recognised(tmp_path: Path) -> None:
    with VictoriaMetrics(tmp_path / "vm") as server:
        found = examined(settings_for(tmp_path / "var", server.url, "iot"))
    assert found["InfluxDB"].text.startswith("VictoriaMetrics")
    assert found["· probe"].text.startswith("not tried")


@pytest.mark.parametrize(
    ("date", "verdict", "words"),
    [
        ("Sat, 22 Nov 2025 00:00:00 GMT", "failed", "s behind this machine's"),
        ("Sat, 22 Nov 2125 00:00:00 GMT", "failed", "s ahead of this machine's"),
        ("", "ok", "has no date"),
        ("yesterday", "ok", "has no date"),
    ],
)
def test_a_clock_that_is_off_is_found_in_the_date_of_an_answer(date: str, verdict: str, words: str) -> None:
    found = _clock(date)
    assert found.verdict == verdict
    assert words in found.text
