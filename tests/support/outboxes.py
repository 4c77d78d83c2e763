"""Outboxes on disk, for tests of what is kept: without the pace at which it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wire.outbox import DiskOutbox
from wire.sending import SendPlan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def text(seq: int) -> bytes:
    return f"message {seq}".encode()


def wide(covered: int, last: int) -> SendPlan:
    """Without pace and probe, for tests of what is kept."""
    plan = SendPlan(covered, last, window=10**9, backlog_per_s=1e12)
    plan._window = 10**9
    return plan


def opened(path: Path, **options: object) -> DiskOutbox:
    return DiskOutbox(path, plan=wide, **options)  # type: ignore[arg-type]  # as the test gives them


async def numbers(outbox: DiskOutbox, limit: int = 1000) -> list[int]:
    return [entry.seq for entry in await outbox.pending(limit)]


def put(outbox: DiskOutbox, count: int, encode: Callable[[int], bytes] = text) -> None:
    for _ in range(count):
        outbox.append("topic", encode)


def is_full(outbox: DiskOutbox) -> bool:
    """Asked anew at each call, also in the eyes of a type checker."""
    return outbox.full
