"""Choosing series by node, measurement, field and tags, and refusing queries; the same for every store.

Shell globs mean the same in Python and in SQL: both use :func:`glob_regex`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from hub.store.base import FieldKind, Fn, QueryError
from hub.store.values import MAX_NS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hub.store.base import Query, Series, SeriesFilter
    from wire.point import SeriesKey

#: Aggregates that work on texts.
TEXT_FNS: Final = (Fn.COUNT, Fn.FIRST, Fn.LAST)


def glob_regex(glob: str) -> str:
    """A shell glob as a regular expression for the whole text, in the syntax that Python and RE2 share.

    ``*`` any text, ``?`` one character, ``[abc]`` ``[a-z]`` ``[!a]`` one of (not) a set; a ``[`` that nothing closes is
    itself. The dot must match newlines, too.
    """
    parts: list[str] = []
    at = 0
    while at < len(glob):
        char = glob[at]
        at += 1
        if char == "*":
            parts.append(".*")
        elif char == "?":
            parts.append(".")
        elif char == "[" and (end := _closing(glob, at)) is not None:
            parts.append(_set_regex(glob[at:end]))
            at = end + 1
        else:
            parts.append(re.escape(char))
    return "".join(parts)


def glob_matcher(glob: str | None) -> Callable[[str], bool]:
    """Whether a text matches the glob; None matches all."""
    if glob is None:
        return lambda _: True
    if not any(char in glob for char in "*?["):
        return glob.__eq__
    pattern = re.compile(glob_regex(glob), re.DOTALL)
    return lambda text: pattern.fullmatch(text) is not None


class SeriesMatcher:
    """A :class:`SeriesFilter` made ready to ask of many series; remembers the names it has seen."""

    def __init__(self, chosen: SeriesFilter) -> None:
        is_node, nodes = glob_matcher(chosen.node), chosen.nodes
        self._node = _Remembered(is_node if nodes is None else lambda node: node in nodes and is_node(node))
        self._measurement = _Remembered(glob_matcher(chosen.measurement))
        self._field = _Remembered(glob_matcher(chosen.field))
        self._tags = tuple(chosen.tags.items())

    def key(self, key: SeriesKey) -> bool:
        """Whether any field of this key can be chosen."""
        return (
            self._node[key.node] and self._measurement[key.measurement] and all(tag in key.tags for tag in self._tags)
        )

    def field(self, field: str) -> bool:
        """Whether this field of a chosen key is chosen."""
        return self._field[field]


def check_query(query: Query, chosen: Iterable[Series]) -> None:
    """Refuse what cannot be answered.

    Raises:
        QueryError: names the part and what is allowed.
    """
    if query.limit < 1:
        raise QueryError(f"limit is {query.limit}; it must be at least 1")
    if query.every_ns is None:
        return
    if not 1 <= query.every_ns <= MAX_NS:
        raise QueryError(f"every is {query.every_ns} ns; it must be at least 1 ns and at most {MAX_NS} ns")
    if query.fn in TEXT_FNS:
        return
    texts = [series for series in chosen if series.kind is FieldKind.TEXT]
    if texts:
        first = f"{texts[0].key.node} {texts[0].key.measurement} {texts[0].field}"
        others = f" and {len(texts) - 1} more" if len(texts) > 1 else ""
        raise QueryError(
            f"fn={query.fn} does not work on text, which {first}{others} holds: use one of {', '.join(TEXT_FNS)}, "
            "or choose fields that hold numbers or booleans"
        )


def too_many_rows(query: Query) -> QueryError:
    """The answer would be longer than the query's limit: a part of it would look like all of it."""
    return QueryError(
        f"the query gives more than {query.limit} rows, its limit: choose a shorter range, fewer series, wider windows"
    )


class _Remembered(dict[str, bool]):
    """Answers of a matcher by text: there are far fewer names than series."""

    def __init__(self, matches: Callable[[str], bool]) -> None:
        super().__init__()
        self._matches = matches

    def __missing__(self, text: str) -> bool:
        answer = self[text] = self._matches(text)
        return answer


def _closing(glob: str, start: int) -> int | None:
    """Where the set that begins at ``start`` ends; a ``]`` that comes first belongs to the set."""
    first = start + 1 if glob[start : start + 1] == "!" else start
    end = glob.find("]", first + 1)
    return None if end < 0 else end


def _set_regex(inside: str) -> str:
    negated, chars = inside.startswith("!"), inside.removeprefix("!")
    parts: list[str] = []
    at = 0
    while at < len(chars):
        if at + 2 < len(chars) and chars[at + 1] == "-":
            low, high = chars[at], chars[at + 2]
            # An empty range matches nothing; a regular expression would refuse it.
            parts += [f"{re.escape(low)}-{re.escape(high)}"] if low <= high else []
            at += 3
        else:
            parts.append(re.escape(chars[at]))
            at += 1
    if not parts:
        return "." if negated else r"[^\s\S]"
    return f"[{'^' if negated else ''}{''.join(parts)}]"
