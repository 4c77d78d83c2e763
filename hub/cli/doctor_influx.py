"""``iothub doctor`` for InfluxDB, with the hub's own credentials; needs no hub.

reachable, generation ─▶ clock ─▶ credentials ─▶ database ─▶ retention ─▶ a probe goes in and comes back
"""

from __future__ import annotations

import asyncio
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from hub.cli.finding import FAILED, OK, Finding
from hub.influx.admin import Admin, found_in
from hub.influx.wanted import seconds, shown, wanted
from hub.store.base import QueryError, StoreBroken, StoreUnavailable
from hub.store.influx_http import Http
from hub.store.influx_query import Asker, Unreadable
from hub.store.influx_send import gzipped, reason_of
from hub.store.influx_sending import poster
from hub.store.influx_server import Generation, find_server
from hub.store.influx_settings import target_of
from hub.store.influxql import field, identifier, source
from hub.store.line_protocol import LineEncoder
from hub.store.partition import Kind, kept_seconds
from wire.point import Point, SeriesKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from hub.config import Settings
    from hub.store.influx_server import Server
    from hub.store.influx_target import Target
    from hub.store.influxql import Row

_PROBE: Final = SeriesKey("iothub-doctor", "doctor")
_SKEW_S: Final = 5.0
_SETUP: Final = "`iothub influx setup`"


def examine_influx(settings: Settings) -> Iterator[Finding]:
    """Check the InfluxDB that the settings name; nothing where they name none."""
    if "influx" not in {settings.store.kind, *settings.store.also}:
        return
    try:
        target = target_of(settings.store.influx)
    except StoreBroken as error:
        yield Finding("InfluxDB", FAILED, f"{error}; {_SETUP} makes what is missing")
        return

    async def main() -> list[Finding]:
        return [finding async for finding in _examine(settings, target)]

    yield from asyncio.run(main())


# -- private ----------------------------------------------------------------------------------------------------------


async def _examine(settings: Settings, target: Target) -> AsyncIterator[Finding]:
    try:
        async with Http(target.access) as http:
            started = time.monotonic()
            ping = await http.get("/ping")
            took_ms = 1000 * (time.monotonic() - started)
            server = await find_server(http, target.generation, target.database)
            yield _generation(server, target, took_ms)
            yield _clock(ping.date)
            if not server.can_query:
                yield Finding("· probe", OK, "not tried: VictoriaMetrics does not answer InfluxQL")
                return
            async for finding in _database(http, server, settings, target):
                yield finding
    except StoreUnavailable as error:
        yield Finding("InfluxDB", FAILED, str(error))
    except OSError as error:
        yield Finding("InfluxDB", FAILED, f"store.influx.ca_file cannot be read: {error}")


def _generation(server: Server, target: Target, took_ms: float) -> Finding:
    says = server.version.lstrip("v")[:1]
    if says.isdecimal() and server.generation is not Generation.VICTORIA and says != server.generation:
        text = (
            f'store.influx.generation = "{server.generation}", but {target.access.url} says that it is {server.version}'
        )
        return Finding("InfluxDB", FAILED, f'{text}; set it to "{says}" or "auto"')
    return Finding("InfluxDB", OK, f"{server} at {target.access.url} answers in {took_ms:.0f} ms")


def _clock(date: str) -> Finding:
    try:
        behind_s = time.time() - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return Finding("· clock", OK, "not compared: the answer has no date")
    if abs(behind_s) > _SKEW_S:
        side = "behind" if behind_s > 0 else "ahead of"
        text = f"InfluxDB's clock is {abs(behind_s):.0f} s {side} this machine's"
        return Finding("· clock", FAILED, f"{text}: what `now()` means in Grafana is off; let NTP set both clocks")
    return Finding("· clock", OK, f"agrees with this machine within {_SKEW_S:.0f} s")


async def _database(http: Http, server: Server, settings: Settings, target: Target) -> AsyncIterator[Finding]:
    asker = Asker(http, target.database, server.generation)
    is_3 = server.generation is Generation.V3
    statement = "SHOW MEASUREMENTS" if is_3 else f"SHOW RETENTION POLICIES ON {identifier(target.database)}"
    try:
        (answer,) = await asker.ask([statement])
    except Unreadable as error:
        yield Finding("· credentials", FAILED, f"{error}, in [store.influx]; {_SETUP} makes one")
        return
    except (StoreUnavailable, QueryError) as error:
        yield Finding("· credentials", OK, _who(target))
        yield Finding("· database", FAILED, f"{error}; {_SETUP} makes it")
        return
    yield Finding("· credentials", OK, _who(target))
    if not is_3 and not any(row.values for row in answer.series):  # 2.x, where 1.x says that there is none
        text = f"there is no bucket and no DBRP mapping {target.database!r}"
        yield Finding("· database", FAILED, f"{text}; {_SETUP} makes it, or correct store.influx.database")
        return
    if not is_3:
        yield _retention(settings, target, server, answer.series, await _bucket_s(http, server, target))
    yield await _probe(http, server, target, asker)


def _who(target: Target) -> str:
    access = target.access
    return "a token" if access.token else f"user {access.username}" if access.username else "none are asked for"


async def _bucket_s(http: Http, server: Server, target: Target) -> int | None:
    """How long the bucket of 2.x keeps; None where the token may not know."""
    if server.generation is not Generation.V2:
        return None
    reply = await Admin(http).try_json("GET", "/api/v2/buckets", {"name": target.database})
    buckets = found_in(reply).get("buckets") or []
    rules = buckets[0].get("retentionRules") or [{}] if buckets else [{}]
    return int(rules[0].get("everySeconds") or 0) if buckets else None


def _retention(settings: Settings, target: Target, server: Server, rows: list[Row], bucket_s: int | None) -> Finding:
    policies = {str(row[0]): row for each in rows for row in each.values}
    chosen = target.retention_policy or next((name for name, row in policies.items() if row[4]), "")
    if chosen not in policies:
        there = ", ".join(policies) or "none"
        text = f"database {target.database!r} has no retention policy {chosen or '(default)'!r}, only: {there}"
        return Finding("· database", FAILED, f"{text}; {_SETUP} makes it, or correct store.influx.retention_policy")
    held_s = bucket_s if server.generation is Generation.V2 else seconds(str(policies[chosen][1]))
    wanted_s = int(max(kept_seconds(settings.store.retention, kind) for kind in (Kind.NUMBERS, Kind.LOGS)))
    if held_s is not None and 0 < held_s < wanted_s:
        text = f"{chosen} keeps {shown(held_s)}, [store.retention] asks for {shown(wanted_s)}: what is older is refused"
        return Finding("· retention", FAILED, f"{text}; {_SETUP} makes it longer, or shorten the settings")
    kept = "as long as the bucket says, which this token may not read" if held_s is None else shown(held_s)
    missing = [each.name for each in wanted(settings.store).rollups if each.name not in policies]
    rolled = (
        f"no {' and '.join(missing)}: long ranges are slow, {_SETUP} makes them" if missing else "roll-ups are there"
    )
    return Finding("· database", OK, f"{target.database}, {chosen} keeps {kept}; {rolled}")


async def _probe(http: Http, server: Server, target: Target, asker: Asker) -> Finding:
    """Write a point and read it back."""
    now_ns = time.time_ns()
    (line,) = LineEncoder().encode([Point(_PROBE, now_ns, {"probe": now_ns / 1e9})])
    body = gzipped(line.encode()) if target.access.gzip else line.encode()
    async with poster(http, server, target, target.retention_policy) as post:
        reply = await post(body)
    if not 200 <= reply.status < 300:  # noqa: PLR2004  what 2xx means
        text = f"a value could not be written, {reply.status}: {reason_of(reply)}"
        return Finding("· probe", FAILED, f"{text}; the hub needs a user or token that may write: {_SETUP}")
    policy = "" if server.generation is Generation.V3 else target.retention_policy
    of = f"{source(_PROBE.measurement, policy)} WHERE time = {now_ns:d}"
    try:
        (answer,) = await asker.ask([f"SELECT {field('probe')} FROM {of}"])  # noqa: S608  InfluxQL of constants
    except QueryError as error:
        return Finding("· probe", FAILED, str(error))
    if not any(row.values for row in answer.series):
        text = "a value was taken and cannot be read back"
        return Finding("· probe", FAILED, f"{text}: does database {target.database!r} (DBRP) lead to the same bucket?")
    return Finding("· probe", OK, "a value written now is read back")
