"""``iothub doctor`` for Grafana, where ``store.influx.grafana_url`` names one: has it the dashboards' data source.

GET /api/datasources/uid/{uid}          is it there, is it an InfluxDB, does it read our database
GET /api/datasources/uid/{uid}/health   Grafana's own try of it
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpx

from hub.cli.finding import FAILED, OK, Finding
from hub.paths import read_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.config import InfluxSettings

#: As the files in ``grafana/datasources`` fix it.
UID: Final = "iothub-influxdb"
_LIMIT_S: Final = 10.0
_SHOWN: Final = 200


def examine_grafana(settings: InfluxSettings) -> Iterator[Finding]:
    """Check the data source; nothing where the settings name no Grafana."""
    if settings.grafana_url is None:
        return
    url = settings.grafana_url.rstrip("/")
    try:
        token = read_secret(settings.grafana_token_file) if settings.grafana_token_file is not None else ""
    except (OSError, UnicodeDecodeError) as error:
        yield Finding("Grafana", FAILED, f"store.influx.grafana_token_file cannot be read: {error}")
        return
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=_LIMIT_S) as grafana:
            yield _examine(grafana, url, settings.database)
    except httpx.HTTPError as error:
        text = f"{url} cannot be reached: {error}; is it running, and store.influx.grafana_url right?"
        yield Finding("Grafana", FAILED, text)


# -- private ----------------------------------------------------------------------------------------------------------


def _examine(grafana: httpx.Client, url: str, database: str) -> Finding:
    answer = grafana.get(f"/api/datasources/uid/{UID}")
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        text = f"{url} answered {answer.status_code}: it asks who is there"
        return Finding(
            "Grafana", FAILED, f"{text}; put a token of a service account into store.influx.grafana_token_file"
        )
    if answer.status_code == httpx.codes.NOT_FOUND:
        text = f"{url} has no data source with uid {UID!r}: every panel will say that it was not found"
        return Finding("Grafana", FAILED, f"{text}; provision one of the files in grafana/datasources")
    if answer.status_code != httpx.codes.OK:
        return Finding("Grafana", FAILED, f"{url} answered {answer.status_code}; is it a Grafana?")
    held = _json(answer)
    reads = (held.get("jsonData") or {}).get("dbName") or held.get("database") or ""
    if held.get("type") != "influxdb" or reads != database:
        text = f"data source {UID!r} is a {held.get('type')} of database {reads!r}, the hub writes to {database!r}"
        return Finding("Grafana", FAILED, f"{text}; provision one of the files in grafana/datasources")
    health = grafana.get(f"/api/datasources/uid/{UID}/health")
    said = _json(health)
    if health.status_code != httpx.codes.OK or said.get("status") != "OK":
        text = str(said.get("message") or health.text)[:_SHOWN]
        return Finding("Grafana", FAILED, f"{url} has data source {UID!r}, but cannot use it: {text}")
    return Finding("Grafana", OK, f"{url} has data source {UID!r}, and it answers")


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
