"""Which InfluxDB is it: found by asking, because the generations write in different places and answer differently.

/ping  X-Influxdb-Version   1.6.7~rc0, 1.11.8, v2.7.11, 3.9.2     none: not InfluxDB, or hidden by a proxy
/health                     JSON with a version on 1.8 and 2.x
/-/healthy                  VictoriaMetrics says its name
/api/v3/configure/database  404 unless 3.x
/api/v2/write               404 unless ≥ 1.8, 2.x, 3.x, VictoriaMetrics
/query                      404 where it is none of them

A server that is not ready, or a proxy that does not reach it, must not be taken for a generation: it is asked again.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from hub.store.base import StoreUnavailable
from hub.store.influx_send import reason_of

if TYPE_CHECKING:
    from hub.store.influx_http import Http, Reply

_BAD_REQUEST: Final = 400
_NOT_FOUND: Final = 404
_FAULT: Final = 500
#: What 3.x says to a question about its databases, and any that has the path to a write without lines.
_V3: Final = frozenset({200, 401, 403})
_V2: Final = frozenset({204, 400, 401, 403, 422})
_FIRST_WITH_V2_WRITE: Final = (1, 8)
#: A server that is none is asked again so slowly: a person has to correct the settings.
_WRONG_WAIT_S: Final = 10.0
_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)")


class Generation(enum.StrEnum):
    """What speaks line protocol there."""

    V1 = "1"
    V2 = "2"
    V3 = "3"
    #: Takes what InfluxDB takes; keeps numbers alone, and cannot be read by InfluxQL.
    VICTORIA = "victoria"


@dataclass(frozen=True, slots=True)
class Server:
    """The server found."""

    generation: Generation
    #: As it says itself; empty when it does not.
    version: str = ""
    #: Whether ``/api/v2/write`` is there.
    has_v2_write: bool = True

    @property
    def can_query(self) -> bool:
        """Whether it answers InfluxQL."""
        return self.generation is not Generation.VICTORIA

    def __str__(self) -> str:
        name = "VictoriaMetrics" if self.generation is Generation.VICTORIA else f"InfluxDB {self.generation}.x"
        return f"{name} ({self.version})" if self.version else name


async def find_server(http: Http, wanted: Generation | None, database: str) -> Server:
    """Ask the server what it is; ``wanted`` fixes the generation, and leaves only the place of writing to be found.

    Raises:
        StoreUnavailable: no answer, or not one of an InfluxDB.
    """
    ping = await http.get("/ping")
    if ping.status == _BAD_REQUEST or ping.status >= _FAULT:
        advice = "is it ready, and store.influx.url right (http or https)?"
        raise StoreUnavailable(f"{http.access.url} answered {ping.status} to /ping: {reason_of(ping)}; {advice}")
    version = ping.version or await _from_body(http, ping)
    generation = wanted or await _victoria(http) or _by_version(version) or await _by_paths(http)
    if generation is not Generation.V1:
        return Server(generation, version)
    number = _number(version)
    if number is not None and number < _FIRST_WITH_V2_WRITE:
        return Server(generation, version, has_v2_write=False)
    probe = await http.post("/api/v2/write", {"bucket": database, "org": "-", "precision": "ns"}, b"")
    return Server(generation, version, has_v2_write=probe.status != _NOT_FOUND)


async def _from_body(http: Http, ping: Reply) -> str:
    """The version in the body of /ping (3.x) or /health (2.x)."""
    for reply in (ping, await http.get("/health")):
        try:
            found = msgspec.json.decode(reply.body, type=dict[str, object])
        except msgspec.DecodeError:
            continue
        if isinstance(version := found.get("version"), str):
            return version
    return ""


def _by_version(version: str) -> Generation | None:
    number = _number(version)
    return {1: Generation.V1, 2: Generation.V2, 3: Generation.V3}.get(number[0]) if number else None


async def _victoria(http: Http) -> Generation | None:
    # Before the version: it may call itself InfluxDB 1.8.
    return Generation.VICTORIA if b"VictoriaMetrics" in (await http.get("/-/healthy")).body else None


async def _by_paths(http: Http) -> Generation:
    if (await http.get("/api/v3/configure/database", {"format": "json"})).status in _V3:
        return Generation.V3
    if (await http.post("/api/v2/write", {"precision": "ns"}, b"")).status in _V2:
        return Generation.V2
    query = await http.get("/query", {"q": "SHOW DATABASES"})
    if query.status == _NOT_FOUND or query.status >= _FAULT:
        advice = "correct store.influx.url, or name store.influx.generation if a proxy hides it"
        raise StoreUnavailable(f"{http.access.url} answers, but not as an InfluxDB does; {advice}", _WRONG_WAIT_S)
    return Generation.V1


def _number(version: str) -> tuple[int, int] | None:
    found = _VERSION.match(version)
    return (int(found[1]), int(found[2])) if found else None
