"""Messages with blanks: ``{node}: {value:.1f} °C, more than {threshold}``. Blanks are known or refused when loaded."""

from __future__ import annotations

import difflib
import string
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wire.point import Value

#: Every blank but ``tags.NAME``.
BLANKS: Final = (
    "node", "rule", "severity", "measurement", "field", "series", "value", "threshold", "for", "window",
)  # fmt: skip
TAGS: Final = "tags."


def check_template(text: str) -> str:
    """Return ``text``.

    Raises:
        ValueError: a blank that nothing fills, or braces that do not match; the message says what is allowed.
    """
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"braces do not match: {error} (a brace of the text itself is written twice)") from error
    for _, blank, form, conversion in parsed:
        if blank is None:
            continue
        if blank not in BLANKS and not (blank.startswith(TAGS) and len(blank) > len(TAGS)):
            near = difflib.get_close_matches(blank, BLANKS, n=1)
            hint = f"did you mean {{{near[0]}}}?" if near else f"known are {{{'}, {'.join(BLANKS)}}}, {{tags.NAME}}"
            raise ValueError(f"unknown blank {{{blank}}}; {hint}")
        if conversion:
            raise ValueError(f"{{{blank}!{conversion}}}: conversions are not known here")
        try:
            format(1.5, form or "")
        except ValueError as error:
            raise ValueError(f"{{{blank}:{form}}}: {form!r} formats no number; for example .1f") from error
    return text


def fill(text: str, values: Mapping[str, Value | None], tags: Mapping[str, str]) -> str:
    """A checked template with its blanks filled. Tags that a series has not are empty."""
    parts = []
    for literal, blank, form, _ in string.Formatter().parse(text):
        parts.append(literal)
        if blank is not None:
            value = tags.get(blank[len(TAGS) :], "") if blank.startswith(TAGS) else values.get(blank)
            parts.append(_formatted(value, form or ""))
    return "".join(parts)


def _formatted(value: Value | None, form: str) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | int):
        return format(value, form or ".6g")
    return str(value)
