"""Where points go, from the settings: one store, one behind a spool, or several of those.

kind = "duck", "memory"              ─▶ the store itself: it is as near as a spool would be
kind = "influx"                      ─▶ SpooledStore ─▶ InfluxStore
kind = "influx", also = ["duck"]     ─▶ FanOut ─┬─▶ SpooledStore ─▶ InfluxStore   answers what is asked
                                                └─▶ SpooledStore ─▶ DuckStore
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, runtime_checkable

import structlog

from hub.guard import Guard
from hub.store.base import FieldKind, SeriesFilter, StoreUnavailable
from hub.store.duck import DuckStore
from hub.store.fanout import FanOut
from hub.store.memory import MemoryStore
from hub.store.spool import Spool
from hub.store.spooled import SpooledStore
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hub.config import Settings
    from hub.guard import GuardLimits
    from hub.metrics import Metrics
    from hub.paths import StatePaths
    from hub.store.base import Store
    from hub.store.spooled import OnRefused

_TYPES: Final[dict[FieldKind, type]] = {FieldKind.NUMBER: float, FieldKind.BOOLEAN: bool, FieldKind.TEXT: str}

_log = structlog.get_logger("hub.sinks")


@runtime_checkable
class _SharesTypes(Protocol):
    """A store in which a field of a measurement has one type for all nodes: InfluxDB."""

    async def field_types(self) -> list[tuple[str, str, type]]: ...


class Sinks(NamedTuple):
    """What the pipeline writes to, those of it that may be spooling, and the one that is an InfluxDB."""

    store: Store
    spooled: tuple[SpooledStore, ...]
    influx: _SharesTypes | None = None


def make_sinks(
    settings: Settings, paths: StatePaths, *, on_refused: OnRefused, on_reached: Callable[[Store], Awaitable[None]]
) -> Sinks:
    """The stores that the settings describe, not open yet.

    Args:
        settings: which, and the bounds of their spools.
        paths: where the embedded one and the spools live.
        on_refused: given what a store refuses when it is replayed from a spool.
        on_reached: called with the first store, and with an InfluxDB, before the first write that it gets.

    Raises:
        StoreBroken: a file of a secret cannot be read.
    """
    first, others = settings.store.kind, settings.store.also
    if first != "influx" and not others:
        return Sinks(_store(first, settings, paths), ())
    stores = {kind: _store(kind, settings, paths) for kind in (first, *others)}
    spooled: dict[str, SpooledStore] = {
        kind: SpooledStore(
            store,
            Spool(
                (settings.spool.directory or paths.spool) / kind,
                max_bytes=settings.spool.max_bytes,
                segment_bytes=settings.spool.segment_bytes,
            ),
            name=kind,
            on_refused=on_refused,
            on_reached=on_reached if kind in (first, "influx") else None,
        )
        for kind, store in stores.items()
    }
    influx = next((store for store in stores.values() if isinstance(store, _SharesTypes)), None)
    return Sinks(FanOut(dict(spooled)) if others else spooled[first], tuple(spooled.values()), influx)


def make_guard(limits: GuardLimits, settings: Settings) -> Guard:
    """A guard that goes by what the stores can hold: InfluxDB has one type for a field of a measurement."""
    return Guard(limits, shares_types="influx" in (settings.store.kind, *settings.store.also))


async def remember_types(guard: Guard, store: Store) -> None:
    """Tell the guard which types the series of a store have, and the fields of an InfluxDB.

    Raises:
        StoreUnavailable: it does not answer.
    """
    if isinstance(store, _SharesTypes):
        guard.remember_fields(await store.field_types())
    guard.remember((s.key, s.field, _TYPES[s.kind]) for s in await store.series(SeriesFilter()))


async def remember_types_if_there(guard: Guard, sinks: Sinks) -> None:
    """The same at the start: a database that is away must not keep the hub from starting."""
    try:
        if sinks.influx is not None:
            guard.remember_fields(await sinks.influx.field_types())
        await remember_types(guard, sinks.store)
    except StoreUnavailable as error:
        _log.warning("starting without the types of known series until the store answers", why=str(error))


def spool_gauges(metrics: Metrics, sinks: Sinks) -> None:
    """Add the figures of every spool to the metrics."""
    if sinks.spooled:
        for name, (text, value) in _GAUGES.items():
            metrics.gauge_of_each(name, text, "store", {sink.name: partial(value, sink) for sink in sinks.spooled})


# -- private ----------------------------------------------------------------------------------------------------------


def _store(kind: str, settings: Settings, paths: StatePaths) -> Store:
    wanted = settings.store
    if kind == "memory":
        return MemoryStore(retention=wanted.retention)
    if kind == "influx":
        # Its libraries take 22 MB, which a hub with the embedded store need not pay.
        from hub.store.influx_settings import influx_store  # noqa: PLC0415

        return influx_store(wanted.influx, wanted.retention, paths.influx_due)
    return DuckStore(
        paths.database, retention=wanted.retention, memory_bytes=wanted.memory_bytes, threads=wanted.threads
    )


def _oldest_s(sink: SpooledStore) -> float:
    return (sink.spool_stats().oldest_ns or 0) / NS_PER_S


_GAUGES: Final[dict[str, tuple[str, Callable[[SpooledStore], float]]]] = {
    "iothub_spooling": ("1 while points go to the spool", lambda sink: bool(sink.trouble)),
    "iothub_spool_bytes": ("Bytes that wait for the store", lambda sink: sink.spool_stats().size_bytes),
    "iothub_spool_max_bytes": ("Bytes that may wait at most", lambda sink: sink.spool_stats().max_bytes),
    "iothub_spool_hours": ("Hours of history that wait", lambda sink: sink.spool_stats().hours),
    "iothub_spool_oldest_timestamp_seconds": ("When the oldest of it came; 0 when nothing waits", _oldest_s),
    "iothub_spool_damaged_bytes": ("Unreadable bytes met so far", lambda sink: sink.spool_stats().damaged_bytes),
}
