"""Sequence numbers of a message that was refused: what was refused and kept needs no sending again either.

A node with an outbox sends everything after a gap again until the gap is closed, so one refused message whose number
nobody reads would hold it up for good.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

#: Larger messages are not taken apart; brokers refuse them.
_MOST_BYTES: Final = 8 << 20
#: What tells an element of the contract, whose ``seq`` is a number of ours, from a plain object with a field ``seq``.
_MARKS: Final = frozenset({"ts", "values", "message"})
_SEQ: Final = re.compile(rb'"seq"\s*:\s*(\d{1,16})\b')


def sequence_numbers(payload: bytes) -> list[int]:
    """The numbers of all elements of a JSON message, also of one that no format takes; empty when there are none.

    Of a payload that is no JSON at all, the one number it seems to hold.
    """
    if len(payload) > _MOST_BYTES or b'"seq"' not in payload:
        return []
    try:
        document = json.loads(payload.decode(errors="replace"))
    except (ValueError, RecursionError):
        found = _SEQ.findall(payload)
        return [int(found[0])] if len(found) == 1 else []
    elements = document if isinstance(document, list) else [document]
    return [seq for element in elements if (seq := _seq(element)) is not None]


def _seq(element: Any) -> int | None:
    if not isinstance(element, dict) or _MARKS.isdisjoint(element):
        return None
    seq = element.get("seq")
    return seq if isinstance(seq, int) and not isinstance(seq, bool) and 0 <= seq < 1 << 63 else None
