"""The data source that dashboards look for: Grafana's documented answers, from a scripted server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hub.cli.doctor_grafana import UID, examine_grafana
from hub.config import InfluxSettings
from tests.support.mosquitto import free_port
from tests.support.scripted_http import Request, Response, ScriptedServer, says
from tests.support.sources import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hub.cli.finding import Finding

WELL = says(200, uid=UID, type="influxdb", jsonData={"dbName": "iot"})
HEALTHY = Response(200, b'{"status": "OK", "message": "datasource is working. 5 measurements found"}')
SICK = Response(400, b'{"status": "ERROR", "message": "error reading InfluxDB"}')


def examined(answer: Callable[[Request], Response], token_file: Path | None = None) -> Finding:
    async def main() -> Finding:
        async with ScriptedServer(answer).running() as server:
            settings = InfluxSettings(grafana_url=f"{server.url}/", grafana_token_file=token_file)
            (found,) = await asyncio.to_thread(lambda: list(examine_grafana(settings)))
            return found

    return asyncio.run(main())


def test_without_an_address_nothing_is_looked_at() -> None:
    assert list(examine_grafana(InfluxSettings())) == []


def test_a_data_source_that_answers_is_well(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("glsa_x\n")

    def answer(request: Request) -> Response:
        if request.headers.get("authorization") != "Bearer glsa_x":
            return says(401, message="Unauthorized")
        return HEALTHY if request.path == f"/api/datasources/uid/{UID}/health" else WELL

    assert examined(answer, file).verdict == "ok"
    assert "store.influx.grafana_token_file" in examined(answer).text


@pytest.mark.parametrize(
    ("first", "health", "words"),
    [
        (says(404, message="Data source not found"), HEALTHY, "provision one of the files in grafana/datasources"),
        (says(200, type="prometheus"), HEALTHY, "is a prometheus of database ''"),
        (says(200, type="influxdb", database="other"), HEALTHY, "of database 'other', the hub writes to 'iot'"),
        (WELL, SICK, "cannot use it: error reading InfluxDB"),
        (says(502), HEALTHY, "answered 502; is it a Grafana?"),
    ],
)
def test_what_is_wrong_is_named_with_what_to_do(first: Response, health: Response, words: str) -> None:
    found = examined(lambda request: health if request.path.endswith("/health") else first)
    assert found.verdict == "failed"
    assert words in found.text


def test_a_grafana_that_is_away_is_named() -> None:
    (found,) = examine_grafana(InfluxSettings(grafana_url=f"http://127.0.0.1:{free_port()}"))
    assert found.verdict == "failed"
    assert "is it running" in found.text


def test_a_token_file_that_is_missing_is_named(tmp_path: Path) -> None:
    settings = InfluxSettings(grafana_url="http://127.0.0.1:9", grafana_token_file=tmp_path / "none")
    (found,) = examine_grafana(settings)
    assert str(tmp_path / "none") in found.text


def test_the_uid_is_the_one_that_is_provisioned() -> None:
    files = list((ROOT / "grafana" / "datasources").glob("influx*.yaml"))
    assert files
    for file in files:
        assert f"uid: {UID}\n" in file.read_text(encoding="utf-8")
