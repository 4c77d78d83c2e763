"""What commands print: plain tables, times and numbers for people, JSON for programs."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from hub.text import printable, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic import BaseModel

_GAP: Final = "  "
_BOLD: Final = "1"
#: Escape sequences by what a word says.
_COLOURS: Final = {
    "online": "32",
    "ok": "32",
    "stored": "32",
    "silent": "33",
    "warning": "33",
    "duplicate": "33",
    "offline": "31",
    "refused": "31",
    "failed": "31",
    "error": "31",
    "critical": "31",
    "new": "36",
}
#: Integers beyond this are shown as floats are.
_EXACT: Final = 1e15
_SMALL: Final = 1e-3
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400


def coloured() -> bool:
    """Whether standard output takes colours: a terminal, and neither NO_COLOR nor TERM=dumb."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(word: str, shown: str | None = None) -> str:
    """``shown`` (or the word) in the colour of ``word`` where colours are wanted."""
    text = word if shown is None else shown
    code = _COLOURS.get(word)
    return f"\x1b[{code}m{text}\x1b[0m" if code and coloured() else text


def bold(text: str) -> str:
    """``text`` in bold where colours are wanted."""
    return f"\x1b[{_BOLD}m{text}\x1b[0m" if coloured() else text


def terminal_width() -> int | None:
    """Columns of the terminal; None when the output goes elsewhere and must not be cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, right: frozenset[int] = frozenset()) -> None:
    """Print columns; the last one is cut where the terminal ends. ``right``: indices of right-aligned columns."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    room = terminal_width()
    print(bold(_line(heads, widths, right, room)))
    for row in cells:
        line = _line(row, widths, right, room)
        word = next((cell for cell in row if cell in _COLOURS), None)
        print(line.replace(word, paint(word), 1) if word else line)


def _line(row: Sequence[str], widths: Sequence[int], right: frozenset[int], room: int | None) -> str:
    parts = [
        cell.rjust(width) if i in right else cell.ljust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    line = _GAP.join(parts).rstrip()
    return shortened(line, room) if room else line


def pairs(values: Mapping[str, str]) -> None:
    """Print names and values, one pair a line."""
    width = max(map(len, values), default=0)
    for name, value in values.items():
        print(f"{name.ljust(width)}{_GAP}{value}")


def print_json(value: BaseModel | Sequence[BaseModel] | Any) -> None:
    """Print one JSON document; models are dumped as the API sent them."""
    print(json.dumps(_plain(value), ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def print_json_line(value: BaseModel) -> None:
    """Print one JSON object on one line, at once."""
    print(value.model_dump_json(), flush=True)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


# -- values -----------------------------------------------------------------------------------------------------------


def parse_time(text: str) -> datetime:
    """An ISO 8601 time of the API."""
    return datetime.fromisoformat(text)


def local_time(text: str, *, millis: bool = False) -> str:
    """An ISO 8601 time of the API as local time without its zone."""
    moment = parse_time(text).astimezone()
    return moment.isoformat(sep=" ", timespec="milliseconds" if millis else "seconds")[: 23 if millis else 19]


def zone_name(now: datetime | None = None) -> str:
    """Name of the local time zone."""
    moment = (now or datetime.now(UTC)).astimezone()
    return moment.tzname() or "local"


def ago(text: str | None, now: datetime | None = None) -> str:
    """How long ago an ISO 8601 time of the API was."""
    if text is None:
        return "never"
    seconds = ((now or datetime.now(UTC)) - parse_time(text)).total_seconds()
    return "now" if abs(seconds) < 1 else f"{duration(seconds)} ago" if seconds > 0 else f"in {duration(-seconds)}"


def duration(seconds: float) -> str:
    """A duration in its two largest units."""
    whole = int(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S} s"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S} min"
    return f"{whole // _DAY_S} d {whole % _DAY_S // _HOUR_S} h"


def value_text(value: float | bool | str | None) -> str:
    """A value for people: whole numbers without decimals, others with what matters."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if math.isfinite(value) and value == int(value) and abs(value) < _EXACT:
        return str(int(value))
    if _SMALL <= abs(value) < _EXACT:
        return f"{value:.4f}".rstrip("0").rstrip(".")
    return f"{value:.6g}"


def tags_text(tags: Mapping[str, str]) -> str:
    """Tags as ``name=value``."""
    return " ".join(f"{name}={value}" for name, value in tags.items())
