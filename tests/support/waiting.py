"""Waiting for something to become true, with a deadline instead of a guessed sleep."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_EVERY_S = 0.01


def wait_until(predicate: Callable[[], object], timeout_s: float = 60.0, what: str = "") -> None:
    """Return as soon as ``predicate()`` is true; AssertionError naming ``what`` after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while not predicate():
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what or predicate}"
        time.sleep(_EVERY_S)


async def eventually(predicate: Callable[[], object], timeout_s: float = 60.0, what: str = "") -> None:
    """As :func:`wait_until`, leaving the event loop free."""
    deadline = time.monotonic() + timeout_s
    while not predicate():
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what or predicate}"
        await asyncio.sleep(_EVERY_S)
