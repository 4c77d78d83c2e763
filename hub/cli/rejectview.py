"""How refused messages look in a terminal."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from hub.cli.output import ago, local_time, pairs, table
from hub.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.api.schemas_messages import RejectDetail, RejectFigures, RejectsReplayed, RejectSummary

#: So many of those that were refused again are shown.
SHOWN_REFUSED: Final = 10
_SHOWN_BYTES: Final = 2048
_SHOWN_CHARACTERS: Final = 8192
_HEX_WIDTH: Final = 16
_PRINTABLE: Final = range(0x20, 0x7F)


def counted(n: int) -> str:
    """``1 reject``, ``2 rejects``."""
    return f"{n:,} reject{'' if n == 1 else 's'}"


def print_list(found: list[RejectSummary], *, with_state: bool) -> None:
    """Rejects, one a line."""
    state = ("STATE",) if with_state else ()
    table(
        ("ID", "ARRIVED", *state, "NODE", "REASON", "TOPIC", "DETAIL"),
        [
            (
                str(each.id),
                local_time(each.arrived)[5:],  # the year says nothing here
                *((each.state,) if with_state else ()),
                each.node or "-",
                each.reason + (" (part)" if each.partial else ""),
                each.topic,
                each.detail,
            )
            for each in found
        ],
        right=frozenset({0}),
    )


def footer(figures: RejectFigures, shown: int) -> str:
    """What there is beside those shown."""
    share = figures.size_bytes / figures.max_bytes
    text = f"{figures.kept:,} kept"
    if shown and shown < figures.kept:
        text += f", {shown:,} shown"
    text += f"; {figures.replayed:,} replayed, {figures.dropped:,} dropped; {share:.0%} of the space is used"
    if figures.evicted:
        text += f"; {figures.evicted:,} had to go before anybody looked: see rejects.max_bytes in the settings"
    return text


def print_detail(found: RejectDetail) -> None:
    """One reject; nothing in it can steer the terminal."""
    payload = base64.b64decode(found.payload)
    values = {
        "reject": str(found.id),
        "arrived": f"{local_time(found.arrived, millis=True)}  ({ago(found.arrived)})",
        "topic": printable(found.topic) + ("  (retained)" if found.retained else ""),
        "node": printable(found.node or "-"),
        "reason": found.reason + (": only these values were refused, the rest is stored" if found.partial else ""),
        "detail": printable(found.detail),
        "state": found.state + (f"  ({ago(found.changed)})" if found.changed else ""),
        "refused by": f"iothub {found.version}",
        "size": f"{found.size_bytes:,} bytes",
    }
    pairs(values)
    if found.state == "dropped":
        print("\nIts bytes were dropped.")
        return
    if not payload:
        return
    print()
    if found.text is not None:
        print(printable(found.text[:_SHOWN_CHARACTERS]))
        hidden = len(found.text) > _SHOWN_CHARACTERS
    else:
        print(hex_lines(payload[:_SHOWN_BYTES]))
        hidden = len(payload) > _SHOWN_BYTES
    if hidden:
        print(f"… `iothub rejects show {found.id} --raw > FILE` writes all of it")


def hex_lines(payload: bytes) -> str:
    """Offset, bytes and printable ASCII, sixteen bytes a line."""
    lines = []
    for start in range(0, len(payload), _HEX_WIDTH):
        part = payload[start : start + _HEX_WIDTH]
        text = "".join(chr(byte) if byte in _PRINTABLE else "." for byte in part)
        lines.append(f"{start:06x}  {part.hex(' '):<{3 * _HEX_WIDTH - 1}}  {text}")
    return "\n".join(lines)


def print_replayed(total: RejectsReplayed, refused: Sequence[RejectDetail]) -> None:
    """What a replay did; ``refused``: the first few that were refused again."""
    print(f"Replayed {counted(len(total.replayed))}.")
    if total.gone:
        print(f"Not there any more, or dropped: {counted(len(total.gone))}.")
    if refused:
        print(f"Refused again: {counted(len(total.refused))}.")
        rows = [(str(each.id), each.reason, each.topic, each.detail) for each in refused]
        table(("ID", "REASON", "TOPIC", "DETAIL"), rows, right=frozenset({0}))
        if len(total.refused) > len(refused):
            print(f"… and {len(total.refused) - len(refused):,} more; `iothub rejects` lists them")
