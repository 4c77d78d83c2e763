"""How the series of a rule with several conditions find each other: same node, same tags.

Conditions on series with the same tags make one track. For ``all``, a series without tags goes with every tagged one of
its node, unless one with those tags is there: ``disk.used_percent{mount=/}`` and ``cpu.usage`` of the same host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.rules.events import Subject
from wire.point import SeriesKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.rules.compiled import Ready, Watch
    from hub.rules.tracks import Cell, Track

#: Name of the rule and node.
_Place = tuple[str, str]
_Tags = tuple[tuple[str, str], ...]


class Joints:
    """The tracks of joined rules, by node and tags.

    Args:
        track: finds or makes the track of a subject.
    """

    def __init__(self, track: Callable[[Watch, Subject], Track]) -> None:
        self._track = track
        self._tracks: dict[_Place, dict[_Tags, Track]] = {}
        #: Cells of series without tags, by the place of their condition.
        self._plain: dict[_Place, dict[int, Cell]] = {}

    def attach(self, cell: Cell) -> None:
        """Join a new cell to the tracks that it belongs to."""
        rule, tags = cell.watch.rule, cell.key.tags
        place = (rule.name, cell.key.node)
        tracks = self._tracks.setdefault(place, {})
        track = tracks.get(tags)
        if track is None:
            track = tracks[tags] = self._track(cell.watch, joint_subject(rule, cell.key))
            if rule.spreads and tags:
                for plain in self._plain.get(place, {}).values():
                    _join(plain, track)
        _join(cell, track)
        if not tags:
            self._plain.setdefault(place, {})[cell.watch.at] = cell
            if rule.spreads:
                for other in tracks.values():
                    there = other.cells[cell.watch.at]
                    if there is None or there.empty:  # made for an alert that was taken over
                        _join(cell, other)

    def drop(self, cell: Cell) -> None:
        """Forget a cell, and what its node has of its rule."""
        if cell.watch.rule.join is not None:
            place = (cell.watch.rule.name, cell.key.node)
            self._tracks.pop(place, None)
            self._plain.pop(place, None)


def joint_subject(rule: Ready, key: SeriesKey) -> Subject:
    """What an alert of a joined rule is about: the metric of its first condition, with the tags."""
    metric = rule.watches[0].metric
    if metric.measurement.startswith("$"):
        return Subject(key.node)
    return Subject(key.node, SeriesKey(key.node, metric.measurement, key.tags), metric.field)


def _join(cell: Cell, track: Track) -> None:
    before = track.cells[cell.watch.at]
    if before is not None:
        before.tracks = tuple(each for each in before.tracks if each is not track)
    track.cells[cell.watch.at] = cell
    cell.tracks = (*cell.tracks, track)
