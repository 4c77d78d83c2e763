"""The series of an InfluxDB in memory: a :class:`Catalog` whose kinds hold for a measurement and field, as there.

At the start it is filled from the database:

    SHOW FIELD KEYS                       measurements, fields and their kinds
    SELECT first(f) … GROUP BY *          each series: where it begins
    SELECT last(f) … GROUP BY *           each series: where it ends, its last value

A server may refuse to look through that much (3 Core: more than so many files; 1.x: its max-select-series). Then it is
asked measurement by measurement for what came last, and a series counts as long as what is kept.

Series without the tag ``node`` are not ours and stay unknown.
"""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import structlog

from hub.store.base import FieldKind, QueryError
from hub.store.catalog import NUMBER, TEXT, Catalog
from hub.store.influxql import during, field, identifier, source, tag_set
from hub.store.line_protocol import original_name, stored_measurement
from hub.store.partition import DAY_NS, HOUR_NS
from hub.store.values import KINDS, MAX_NS
from wire.point import LOG_MEASUREMENT, NODE_TAG, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hub.store.catalog import Ids, Times
    from hub.store.influx_query import Asker
    from hub.store.influxql import Row, TagSet

    #: Measurement, field, and kind.
    _Field = tuple[str, str, FieldKind]

_KINDS: Final = {
    "float": FieldKind.NUMBER,
    "integer": FieldKind.NUMBER,
    "unsigned": FieldKind.NUMBER,
    "boolean": FieldKind.BOOLEAN,
    "string": FieldKind.TEXT,
}
_WHOLE: Final = frozenset({"integer", "unsigned"})
_TYPES: Final[dict[FieldKind, type]] = {FieldKind.NUMBER: float, FieldKind.BOOLEAN: bool, FieldKind.TEXT: str}
#: InfluxQL reads a field that has several types as the first of these.
_PRECEDENCE: Final = ("float", "integer", "unsigned", "string", "boolean")
#: How far back a server is asked that does not look through all it holds: 3 Core by default looks at three days.
SHORTER_NS: Final = (2 * DAY_NS, 6 * HOUR_NS)

_log = structlog.get_logger(__name__)


class InfluxCatalog(Catalog):
    """As its base; a new series takes the kind that its measurement and field have."""

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[tuple[str, str], int] = {}

    def id_of(self, key: SeriesKey, field: str, code: int) -> int:
        return super().id_of(key, field, self._kinds.setdefault((key.measurement, field), code))

    def forget(self, ids: Iterable[int]) -> None:
        super().forget(ids)
        left = {(key.measurement, name) for key, fields in self._ids.items() for name in fields}
        self._kinds = {name: code for name, code in self._kinds.items() if name in left}

    def kind_of(self, measurement: str, field: str) -> FieldKind | None:
        """The kind of a field, None when it is unknown."""
        code = self._kinds.get((measurement, field))
        return None if code is None else KINDS[code]

    def ids_of(self, measurement: str, fields: Sequence[str]) -> dict[tuple[TagSet, str], int]:
        """The ids of these fields of a measurement, by series as answers name it."""
        return {
            (tag_set(key), name): known[name]
            for key, known in self._ids.items()
            if key.measurement == measurement
            for name in fields
            if name in known
        }

    def numbers(self) -> dict[str, tuple[list[str], int]]:
        """The fields of each measurement that are numbers, and how many keys it has."""
        fields: dict[str, list[str]] = {}
        for (measurement, name), code in list(self._kinds.items()):  # the thread of the writer changes it
            if code == NUMBER:
                fields.setdefault(measurement, []).append(name)
        keys = Counter(key.measurement for key in list(self._ids))
        return {measurement: (sorted(names), keys[measurement] or 1) for measurement, names in fields.items()}

    def forget_before(self, floor_ns: int) -> list[int]:
        """Forget the series that have nothing since ``floor_ns``; return the ids of those that begin before it."""
        known = self.with_samples()
        self.forget(known[self.last_ns[known] < floor_ns].tolist())
        cut: list[int] = known[(self.last_ns[known] >= floor_ns) & (self.first_ns[known] < floor_ns)].tolist()
        return cut


async def load(asker: Asker, catalog: InfluxCatalog, retention_policy: str, floor_ns: int, now_ns: int) -> None:
    """Fill an empty catalogue with the series that have samples since ``floor_ns``, as far as the server tells.

    Raises:
        StoreUnavailable: as :meth:`Asker.ask`.
        QueryError: not even the fields can be asked for.
    """
    known = await _fields(asker)
    try:
        await _load(asker, catalog, retention_policy, known, floor_ns=floor_ns, since_ns=floor_ns)
    except QueryError as error:
        _log.warning("InfluxDB does not look through all that it holds: asking for the last days", why=str(error))
        for measurement, fields in groupby(sorted(known), key=itemgetter(0)):
            why = await _load_newest(asker, catalog, retention_policy, list(fields), floor_ns=floor_ns, now_ns=now_ns)
            if why:
                _log.error("series are unknown until they send again", measurement=measurement, why=why)


async def begin_anew(
    asker: Asker, catalog: InfluxCatalog, ids: Sequence[int], retention_policy: str, floor_ns: int
) -> None:
    """Find where these series begin now that what is older than ``floor_ns`` does not count any more.

    Raises:
        StoreUnavailable: as :meth:`Asker.ask`.
    """
    by_field: dict[tuple[str, str], list[int]] = {}
    for number in ids:
        key, name = catalog.name(number)
        by_field.setdefault((key.measurement, name), []).append(number)
    statements = [
        f"SELECT first({field(name)}) AS v FROM {source(stored_measurement(measurement), retention_policy)} "
        f"WHERE {during(floor_ns, MAX_NS)} GROUP BY *"
        for measurement, name in by_field
    ]
    try:
        results = await asker.ask(statements)
    except QueryError:  # it does not look through that much: as far as is known they begin with what is kept
        catalog.set_first(_ids(ids), _times([floor_ns] * len(ids)))
        return
    for (measurement, name), result in zip(by_field, results, strict=True):
        wanted = set(by_field[measurement, name])
        ids_of = catalog.ids_of(measurement, [name])
        found = {ids_of.get((row.tag_set, name), -1): row.values[0][0] for row in result.series}
        chosen = {number: ts for number, ts in found.items() if number in wanted}
        catalog.set_first(_ids(chosen), _times(chosen.values()))


def key_of_tags(measurement: str, tags: TagSet) -> SeriesKey:
    """The key of a series; ``tags`` as answers hold them, the node's among them."""
    node = original_name(dict(tags)[NODE_TAG])
    others = ((original_name(name), original_name(text)) for name, text in tags if name != NODE_TAG)
    return SeriesKey(node, measurement, tuple(sorted(others)))


async def field_types(asker: Asker) -> list[tuple[str, str, type]]:
    """Measurement, field, and what it takes: float, bool, str, or int where only whole numbers of others fit beside.

    Raises:
        StoreUnavailable, QueryError: as :meth:`Asker.ask`.
    """
    return [
        (original_name(measurement), original_name(name), int if kinds <= _WHOLE else _TYPES[_kind(kinds)])
        for (measurement, name), kinds in (await _field_keys(asker)).items()
    ]


async def _field_keys(asker: Asker) -> dict[tuple[str, str], set[str]]:
    """The types of each field as InfluxDB says them; several where shards differ."""
    (answer,) = await asker.ask(["SHOW FIELD KEYS"])
    types: dict[tuple[str, str], set[str]] = {}
    for row in answer.series:
        for name, kind in row.values:
            types.setdefault((row.name, name), set()).add(kind)
    return types


async def _load_newest(
    asker: Asker, catalog: InfluxCatalog, retention_policy: str, fields: Sequence[_Field], *, floor_ns: int, now_ns: int
) -> str:
    """Fetch what is known of the last days; why not, or empty."""
    why = ""
    for back_ns in SHORTER_NS:
        since_ns = max(floor_ns, now_ns - back_ns)
        try:
            await _load(asker, catalog, retention_policy, fields, floor_ns=floor_ns, since_ns=since_ns)
        except QueryError as error:
            why = str(error)
        else:
            return ""
    return why


async def _load(
    asker: Asker,
    catalog: InfluxCatalog,
    retention_policy: str,
    fields: Sequence[_Field],
    *,
    floor_ns: int,
    since_ns: int,
) -> None:
    """Fetch the series with samples since ``since_ns``; they begin at ``floor_ns`` where that is earlier."""
    ends = f"FROM {{}} WHERE {during(since_ns, MAX_NS)} GROUP BY *"
    fns = ("last", "first") if since_ns == floor_ns else ("last",)
    results = await asker.ask(
        [
            f"SELECT {fn}({identifier(name)}::field) AS v {ends.format(source(measurement, retention_policy))}"
            for measurement, name, _ in fields
            for fn in fns
        ]
    )
    for at, (measurement, name, kind) in enumerate(fields):
        last, *first = (result.series for result in results[at * len(fns) : (at + 1) * len(fns)])
        rows = [row for row in last if NODE_TAG in row.tags and row.values and _is_of(kind, row.values[0][1])]
        begins = {row.tag_set: row.values[0][0] for each in first for row in each if row.values}
        begin = [begins.get(row.tag_set, floor_ns) for row in rows]
        _adopt(catalog, (original_name(measurement), original_name(name), kind), rows, begin)


def _kind(kinds: set[str]) -> FieldKind:
    return _KINDS[next(kind for kind in _PRECEDENCE if kind in kinds)]


async def _fields(asker: Asker) -> list[_Field]:
    """Measurement and field as InfluxDB holds them, and kind; of all but the log."""
    found = []
    for (measurement, name), kinds in (await _field_keys(asker)).items():
        if kinds & _WHOLE:
            _log.warning(
                "this field holds whole numbers that another program wrote: InfluxDB refuses our floats beside them",
                measurement=measurement,
                field=name,
            )
        if measurement != LOG_MEASUREMENT:
            found.append((measurement, name, _kind(kinds)))
    return found


def _adopt(catalog: InfluxCatalog, field_: _Field, rows: Sequence[Row], begin: Sequence[int]) -> None:
    """``rows``: the last sample of each series; ``begin``: when each begins."""
    if not rows:
        return
    measurement, name, kind = field_
    code = KINDS.index(kind)
    ids = _ids(catalog.id_of(key_of_tags(measurement, row.tag_set), name, code) for row in rows)
    values = [row.values[0][1] for row in rows]
    array = np.empty(len(values), np.object_) if code == TEXT else np.array(values, np.float64)
    if code == TEXT:
        array[:] = values
    catalog.observe(ids, _times(row.values[0][0] for row in rows), array)
    catalog.lower_first(ids, _times(begin))


def _is_of(kind: FieldKind, value: Any) -> bool:
    """Fields that have had several types give values of each."""
    if kind is FieldKind.TEXT:
        return isinstance(value, str)
    return isinstance(value, bool) == (kind is FieldKind.BOOLEAN) and isinstance(value, bool | int | float)


def _ids(numbers: Iterable[int]) -> Ids:
    return np.array(list(numbers), np.int32)


def _times(times: Iterable[int]) -> Times:
    return np.array(list(times), np.int64)
