"""Whether everything arrived: counts of the embedded store and of InfluxDB, by series and day.

InfluxDB may hold more, of a hub that writes there already; less is a difference. Rows of roll-ups are counted as
samples are, where roll-ups were set up; log records for each node, level and source, over all of time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hub.influx.migrate import series_name
from hub.influx.rollups import NAMES
from hub.store.base import Fn, LogRecord
from hub.store.influx_layout import LOG_MESSAGE, bucket_of, rolled_up_field
from hub.store.influx_logs import key_of
from hub.store.influx_server import Generation
from hub.store.influxql import during, field, source, tag_set
from hub.store.line_protocol import original_name, stored_measurement
from hub.store.partition import DAY_NS
from hub.store.values import MAX_NS
from wire.point import LOG_MEASUREMENT, NODE_TAG, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hub.influx.migrate import Migration
    from hub.store.influxql import Result, Row, TagSet
    from hub.store.partition import Partition

#: Fields counted in one statement.
_FIELDS: Final = 50
#: What a count has for InfluxDB's answer: tags and the column of the field.
_Counted = dict[tuple["TagSet", str], int]


@dataclass(frozen=True, slots=True)
class Difference:
    """A series of which InfluxDB holds less."""

    node: str
    #: Measurement, tags and field.
    series: str
    #: Start of the day, ns; None for log records.
    day_ns: int | None
    expected: int
    found: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome of a comparison."""

    series: int
    #: Values and records that must be there: all but those that InfluxDB refuses.
    expected: int
    #: Rows of roll-ups that must be there.
    rollup_rows: int
    differences: tuple[Difference, ...]


async def compare(migration: Migration) -> Verdict:
    """Count both sides.

    Raises:
        StoreUnavailable: InfluxDB does not answer.
    """
    export, differences, expected, seen = migration.export, list[Difference](), 0, set[object]()
    for day_ns, parts in export.days().items():
        held = export.counts(parts)
        counts = {export.catalog.name(number): count for number, count in held.items()}
        for name, refused in _refused(migration, parts, counts).items():
            counts[name] -= refused
        seen |= counts.keys()
        expected += sum(counts.values())
        differences += await _day(migration, day_ns, counts)
    logs = await _logs(migration)
    rollup_rows, missing = await _rollups(migration)
    found = (*differences, *logs[1], *missing)
    return Verdict(len(seen) + len(logs[0]), expected + sum(logs[0].values()), rollup_rows, found)


# -- private ----------------------------------------------------------------------------------------------------------


def _refused(
    migration: Migration, parts: Iterable[Partition], names: Iterable[tuple[SeriesKey, str]]
) -> dict[tuple[SeriesKey, str], int]:
    by_name = {series_name(*name): name for name in names}
    found: dict[tuple[SeriesKey, str], int] = {}
    for part in parts:
        for text, count in migration.position.refused.get(part.table, {}).items():
            if (name := by_name.get(text)) is not None:
                found[name] = found.get(name, 0) + count
    return found


async def _rollups(migration: Migration) -> tuple[int, list[Difference]]:
    """Rows of minutes and hours; a table that lost some is moved again by the next run."""
    export, expected, differences = migration.export, 0, list[Difference]()
    for part in export.parts:
        name = NAMES.get(part.kind)
        if name is None or name not in migration.policies:
            continue
        missing, names = list[Difference](), set[tuple[SeriesKey, str]]()
        for day_ns, held in export.rollup_counts(part).items():
            counts = {export.catalog.name(number): held[number] for number in export.numbers(held)}
            names |= counts.keys()
            expected += sum(counts.values())
            missing += await _day(migration, day_ns, counts, name)
        refused = _refused(migration, [part], names)
        expected -= sum(refused.values())
        for (key, field_name), count in refused.items():
            shown_name = f"{name}.{_shown(key, field_name)}"
            mine = [each for each in missing if (each.node, each.series) == (key.node, shown_name)]
            if sum(each.expected - each.found for each in mine) <= count:
                missing = [each for each in missing if each not in mine]
        if missing:
            migration.move_again(part)
        differences += missing
    return expected, differences


async def _day(
    migration: Migration, day_ns: int, counts: dict[tuple[SeriesKey, str], int], rollup: str = ""
) -> list[Difference]:
    fields: dict[str, set[str]] = {}
    for key, name in counts:
        fields.setdefault(key.measurement, set()).add(name)
    found: dict[str, _Counted] = {}
    for measurement, names in fields.items():
        ordered = sorted(names)
        for start in range(0, len(ordered), _FIELDS):
            some = ordered[start : start + _FIELDS]
            found.setdefault(measurement, {}).update(await _count(migration, measurement, some, day_ns, rollup))
    return [
        Difference(key.node, f"{rollup}.{_shown(key, name)}" if rollup else _shown(key, name), day_ns, count, there)
        for (key, name), count in counts.items()
        if (there := found[key.measurement].get((tag_set(key), name), 0)) < count
    ]


async def _count(migration: Migration, measurement: str, names: list[str], day_ns: int, rollup: str) -> _Counted:
    is_apart = bool(rollup) and migration.server.generation is Generation.V3
    of = source(stored_measurement(measurement), "" if is_apart else rollup or _policy(migration))
    held = [rolled_up_field(Fn.COUNT, name) if rollup else name for name in names]
    columns = ", ".join(f"count({field(name)}) AS c{i}" for i, name in enumerate(held))
    database = bucket_of(migration.target.database, rollup) if is_apart else None
    answer = await _asked(migration, columns, of, during(day_ns, day_ns + DAY_NS), database)
    return {
        (row.tag_set, name): int(row.values[0][column])
        for row in answer.series
        for column, name in enumerate(names, start=1)
        if row.values[0][column]
    }


async def _logs(migration: Migration) -> tuple[dict[SeriesKey, int], list[Difference]]:
    held = migration.export.log_counts()
    counts = {key_of(LogRecord(0, node, level, source, "")): count for (node, level, source), count in held.items()}
    if not counts:
        return {}, []
    by_name = {series_name(key, ""): key for key in counts}
    for refused in migration.position.refused.values():
        for text, count in refused.items():
            if text in by_name:
                counts[by_name[text]] -= count
    of = source(LOG_MEASUREMENT, _policy(migration))
    answer = await _asked(migration, f"count({field(LOG_MESSAGE)}) AS v", of, during(0, MAX_NS))
    found = {_log_name(row): int(row.values[0][1]) for row in answer.series}
    return counts, [
        Difference(key.node, _shown(key, ""), None, count, there)
        for key, count in counts.items()
        if (there := found.get((key.node, *(text for _, text in key.tags)), 0)) < count
    ]


async def _asked(migration: Migration, columns: str, of: str, when: str, database: str | None = None) -> Result:
    statement = f"SELECT {columns} FROM {of} WHERE {when} GROUP BY *"  # noqa: S608  InfluxQL, and every name is quoted
    (answer,) = await migration.asker.ask([statement], database=database)
    return answer


def _log_name(row: Row) -> tuple[str, ...]:
    return tuple(original_name(row.tags.get(name, "")) for name in (NODE_TAG, "level", "source"))


def _policy(migration: Migration) -> str:
    return "" if migration.server.generation is Generation.V3 else migration.target.retention_policy


def _shown(key: SeriesKey, name: str) -> str:
    tags = "".join(f",{tag}={text}" for tag, text in key.tags)
    return f"{key.measurement}{tags} {name}".rstrip()
