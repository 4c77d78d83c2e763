"""Which type each field of each series has.

Most series have the same fields as others, and share one object with them: what every message looks at stays near the
processor, however many nodes there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wire.point import SeriesKey

#: Series of more fields have an object of their own, which is changed: to make a new one each time would take long.
_SHARED_FIELDS: Final = 50
#: So many objects are there to be shared with series to come.
_SHARED: Final = 10_000


class Kinds:
    """The types of the fields of a series, or of many. Only :class:`SeriesKinds` changes it."""

    __slots__ = ("numbers", "types")

    def __init__(self, types: dict[str, type]) -> None:
        self.types = types
        #: The fields that are numbers.
        self.numbers = {field for field, kind in types.items() if kind is float}


class SeriesKinds:
    """The types of all series."""

    def __init__(self) -> None:
        #: What the hot path looks into.
        self.of: dict[SeriesKey, Kinds] = {}
        self._shared: dict[tuple[tuple[str, type], ...], Kinds] = {}

    def put(self, key: SeriesKey, types: Mapping[str, type]) -> None:
        """Set the types of some fields of a series."""
        known = self.of.get(key)
        if known is not None and len(known.types) > _SHARED_FIELDS:
            for field, kind in types.items():
                known.types[field] = kind
                (known.numbers.add if kind is float else known.numbers.discard)(field)
            return
        both = {**known.types, **types} if known is not None else dict(types)
        self.of[key] = Kinds(both) if len(both) > _SHARED_FIELDS else self._same(both)

    def _same(self, types: dict[str, type]) -> Kinds:
        each = tuple(types.items())
        kinds = self._shared.get(each)
        if kinds is None:
            if len(self._shared) >= _SHARED:
                self._shared.clear()
            kinds = self._shared[each] = Kinds(types)
        return kinds
