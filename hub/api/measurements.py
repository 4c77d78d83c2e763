"""``/measurements``: what can be asked for, in few rows: measurements with their fields, tags and how many nodes."""

import asyncio
from collections.abc import Sequence

from fastapi import APIRouter
from pydantic import BaseModel

from hub.api.auth import SeenParts
from hub.api.requests import Glob
from hub.store.base import Series, SeriesFilter

router = APIRouter(tags=["data"])

#: Values of a tag that are named; a tag with more is free text to whoever chooses.
_MOST_VALUES = 200


class Field(BaseModel):
    """One field of a measurement."""

    field: str
    #: ``number``, ``boolean`` or ``text``; the first where nodes differ.
    kind: str


class Tag(BaseModel):
    """One tag of a measurement."""

    tag: str
    #: Sorted, at most 200.
    values: list[str]
    #: How many there are.
    total: int


class Measurement(BaseModel):
    """What is stored under one name."""

    measurement: str
    fields: list[Field]
    tags: list[Tag]
    #: How many nodes publish it, and how many series there are.
    nodes: int
    series: int


class Measurements(BaseModel):
    """All of them, by name."""

    items: list[Measurement]


@router.get("/measurements")
async def list_measurements(parts: SeenParts, node: Glob = None, measurement: Glob = None) -> Measurements:
    """Measurements of the chosen nodes, with their fields and tags, by name."""
    series = await parts.store.series(SeriesFilter(node=node, measurement=measurement))
    return Measurements(items=await asyncio.to_thread(_summed, series))


def _summed(series: Sequence[Series]) -> list[Measurement]:
    found: dict[str, _Sum] = {}
    for one in series:
        summed = found.get(one.key.measurement)
        if summed is None:
            summed = found[one.key.measurement] = _Sum()
        summed.add(one)
    return [found[name].shown(name) for name in sorted(found)]


class _Sum:
    """The series of one measurement, summed up."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}
        self._tags: dict[str, set[str]] = {}
        self._nodes: set[str] = set()
        self._series = 0

    def add(self, series: Series) -> None:
        self._series += 1
        self._nodes.add(series.key.node)
        self._fields.setdefault(series.field, series.kind.value)
        for name, value in series.key.tags:
            self._tags.setdefault(name, set()).add(value)

    def shown(self, name: str) -> Measurement:
        return Measurement(
            measurement=name,
            fields=[Field(field=field, kind=kind) for field, kind in sorted(self._fields.items())],
            tags=[
                Tag(tag=tag, values=sorted(values)[:_MOST_VALUES], total=len(values))
                for tag, values in sorted(self._tags.items())
            ],
            nodes=len(self._nodes),
            series=self._series,
        )
