"""Text for people: nothing that came from outside may steer a terminal."""

from __future__ import annotations

from typing import Final

#: C0 and C1 controls, and the characters that reorder or hide what is shown.
_HIDDEN: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    code: f"\\u{code:04x}" for code in (*range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2066, 0x206A), 0xFEFF)
}
_NAMED: Final = {ord("\t"): "\\t", ord("\n"): "\\n", ord("\r"): "\\r"}
_TABLE: Final = _HIDDEN | _NAMED


def printable(text: str) -> str:
    """``text`` on one line, with control characters shown as escapes."""
    return text.translate(_TABLE)


def shortened(text: str, width: int) -> str:
    """``text`` cut to ``width`` characters, the last of which is an ellipsis when it was longer."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"
