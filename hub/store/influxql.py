r"""InfluxQL as text, and answers as values. Pure: no server needed.

Every name and value that comes from outside goes through one of the quoting functions:

    identifier  "a\"b"     measurement, tag, field, retention policy
    text        'it\'s'    value of a tag
    regex       /a\/b/     glob on a tag, part of a message

(InfluxQL reference, "Notation" and "Tokens". Tests quote random text and let a server read it.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from hub.store.base import QueryError
from hub.store.line_protocol import stored_key, stored_tag
from hub.store.select import glob_regex
from wire.point import NODE_TAG

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wire.point import SeriesKey

#: A series as InfluxDB names it: all tags that have a value, the node's among them, in order of name.
TagSet = tuple[tuple[str, str], ...]

_IDENTIFIER: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
_TEXT: Final = str.maketrans({"\\": "\\\\", "'": "\\'", "\n": "\\n"})
#: The scanner ends a regular expression at a line end and reads NUL as the end of the query.
_REGEX: Final = str.maketrans({"/": "\\/", **{code: f"\\x{code:02x}" for code in (*range(32), 127)}})
#: More nodes than this are not listed in a condition.
_MOST_LISTED: Final = 50


class Row(msgspec.Struct):
    """One series of an answer."""

    name: str = ""
    tags: dict[str, str] = {}
    columns: list[str] = []
    values: list[list[Any]] = []

    @property
    def tag_set(self) -> TagSet:
        return tuple(sorted((name, text) for name, text in self.tags.items() if text))


class Result(msgspec.Struct):
    """The answer to one statement."""

    series: list[Row] = []
    error: str = ""
    partial: bool = False


class Answer(msgspec.Struct):
    """The answer to a query of one or more statements."""

    results: list[Result] = []
    error: str = ""


parse_answer: Final = msgspec.json.Decoder(Answer).decode


def identifier(name: str) -> str:
    """A name, quoted."""
    return f'"{_plain(name).translate(_IDENTIFIER)}"'


def text(value: str) -> str:
    """A text, quoted."""
    return f"'{_plain(value).translate(_TEXT)}'"


def regex(pattern: str) -> str:
    """A regular expression, delimited; ``pattern`` is one in the syntax of RE2."""
    # A backslash before a control character escapes it; written as \x.. it needs none. Nor may a backslash escape
    # another: the scanner sees an escaped delimiter in the second one and what follows.
    bare = "".join(_without_escaped_controls(pattern))
    return f"/{bare.translate(_REGEX)}/"


def field(name: str) -> str:
    """A field, even where a tag has its name."""
    return f"{identifier(stored_key(name))}::field"


def tag(name: str) -> str:
    """A payload tag, even where a field has its name."""
    return f"{identifier(stored_key(name))}::tag"


#: The tag of the node.
NODE: Final = f'"{NODE_TAG}"::tag'


def source(measurement: str, retention_policy: str = "") -> str:
    """What stands after FROM; ``measurement`` as InfluxDB holds it."""
    return f"{identifier(retention_policy)}.{identifier(measurement)}" if retention_policy else identifier(measurement)


def during(start_ns: int, stop_ns: int) -> str:
    """``start_ns <= time < stop_ns``."""
    return f"time >= {start_ns:d} AND time < {stop_ns:d}"


def of_nodes(nodes: Iterable[str]) -> str:
    """A condition that holds for these nodes, `` AND …``; empty when they are too many to be listed."""
    listed = sorted(set(nodes))
    if not listed or len(listed) > _MOST_LISTED:
        return ""
    return f" AND ({' OR '.join(f'{NODE} = {text(stored_tag(node))}' for node in listed)})"


def matches_glob(of: str, glob: str) -> str:
    """A condition on a tag (quoted) that holds where all of it matches a shell glob, and for names that are coded."""
    if not any(char in glob for char in "*?["):
        return f"{of} = {text(stored_tag(glob))}"
    return f"({of} =~ {regex(f'(?s)^(?:{glob_regex(glob)})$')} OR {of} =~ /%[0-9A-F]{{2}}/)"


def tag_set(key: SeriesKey) -> TagSet:
    """The series of a key, as answers name it."""
    tags = [(stored_key(name), stored_tag(value)) for name, value in key.tags if value]
    return tuple(sorted([*tags, (NODE_TAG, stored_tag(key.node))]))


def joined(statements: Sequence[str]) -> str:
    """Several statements as one query."""
    return "; ".join(statements)


def _plain(name: str) -> str:
    if "\0" in name:  # the scanner takes it for the end of the query
        raise QueryError(f"{name!r} holds a NUL character, which InfluxQL has no way to write")
    return name


def _without_escaped_controls(pattern: str) -> Iterable[str]:
    at = 0
    while at < len(pattern):
        pair = pattern[at : at + 2]
        if pair[0] == "\\" and len(pair) > 1:
            yield "\\x5c" if pair == "\\\\" else pair[1] if pair[1] < " " or pair[1] in "\x7f/" else pair
            at += 2
        else:
            yield pair[0]
            at += 1
