"""``--last``, ``--start``, ``--stop`` and ``k=v`` arguments, as the API takes them."""

from __future__ import annotations

import json
import math
import time
from datetime import datetime

from hub.cli.base import USAGE, CliError
from wire.settings import parse_duration

MS_PER_S = 1000


def range_ms(
    last: str | None, start: str | None, stop: str | None, default: str, now_s: float | None = None
) -> tuple[int, int]:
    """First and last ms of ``--last`` or ``--start``/``--stop``; the range ends now unless said otherwise.

    Raises:
        CliError: both kinds are given, or one cannot be read; usage.
    """
    now_ms = int((time.time() if now_s is None else now_s) * MS_PER_S)
    if last and (start or stop):
        raise CliError("give either --last or --start/--stop, not both", USAGE)
    stop_ms = moment_ms("--stop", stop) if stop else now_ms + 1
    if start:
        start_ms = moment_ms("--start", start)
    else:
        start_ms = (stop_ms if stop else now_ms) - int(seconds("--last", last or default) * MS_PER_S)
    if start_ms >= stop_ms:
        raise CliError("the range is empty: --start must lie before --stop", USAGE)
    return start_ms, stop_ms


def seconds(option: str, text: str) -> float:
    """A duration in seconds.

    Raises:
        CliError: no duration; usage.
    """
    try:
        found = parse_duration(float(text) if text.replace(".", "", 1).isdigit() else text)
    except ValueError as error:
        raise CliError(f"{option} {text!r}: {error}", USAGE) from error
    if found <= 0:
        raise CliError(f"{option} {text!r}: must be longer than nothing", USAGE)
    return found


def moment_ms(option: str, text: str) -> int:
    """Unix time in ms from ISO 8601 (local time unless it has an offset) or a number of ms.

    Raises:
        CliError: neither; usage.
    """
    if text.isdigit():
        return int(text)
    try:
        return int(datetime.fromisoformat(text).astimezone().timestamp() * MS_PER_S)
    except (ValueError, OverflowError) as error:
        raise CliError(
            f"{option} {text!r}: a time is ISO 8601 such as 2026-11-21T22:18 (local) or …:18Z (UTC), or a number of ms",
            USAGE,
        ) from error


def assignments(option: str, words: list[str]) -> dict[str, str]:
    """``name=value`` arguments.

    Raises:
        CliError: one of another shape; usage.
    """
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise CliError(f"{option} {word!r}: is not of the form name=value", USAGE)
        found[name] = value
    return found


def typed(text: str) -> float | bool | str:
    """A value as people write it: ``true``, ``false``, a number, ``"text"`` (JSON), or any other text as it is.

    Raises:
        CliError: nothing, ``null``, or a number that a 64-bit float cannot hold; usage.
    """
    if text in {"true", "false"}:
        return text == "true"
    if text in {"", "null"}:
        raise CliError(f"{text!r} is no value; an empty text is written '\"\"'", USAGE)
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        try:
            return str(json.loads(text))
        except ValueError:
            return text
    try:
        number = float(text.replace("_", "x"))  # Python would take 1_000 for a number
    except ValueError:
        return text
    if not math.isfinite(number):
        raise CliError(f"{text!r}: NaN and infinity are no values", USAGE)
    return number
