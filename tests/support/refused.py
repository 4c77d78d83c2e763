"""Refused messages, and the store that keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.rejects import KeptReject, Reject, Rejects, ReplayOutcome
from wire.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

#: What may harm a terminal, a parser, a database.
HOSTILE = b"\x00\xff\xfe\x1b[2J\x1b]0;owned\x07\r\n{'\"; DROP TABLE rejects; --" + bytes(range(256))


def reject(
    topic: str = "iot/v1/n1/telemetry/room",
    payload: bytes = b"{",
    *,
    arrival_ns: int = 0,
    reason: Reason = Reason.NOT_JSON,
    detail: str = "no JSON",
    node: str | None = "n1",
    retain: bool = False,
    partial: bool = False,
) -> Reject:
    return Reject(topic, payload, arrival_ns, reason, detail, node, retain, partial)


def opened(folder: Path, *, max_bytes: int = 1 << 20, max_messages: int = 1000, clock_ns: int = 7) -> Rejects:
    return Rejects(folder / "rejects.db", max_bytes=max_bytes, max_messages=max_messages, clock_ns=lambda: clock_ns)


def ids(found: list[KeptReject]) -> list[int]:
    return [each.id for each in found]


def takes(wanted: Callable[[Reject], bool]) -> Callable[[Reject], Awaitable[ReplayOutcome]]:
    async def decode_again(message: Reject) -> ReplayOutcome:
        return ReplayOutcome() if wanted(message) else ReplayOutcome(Reason.TOO_OLD, "older than 30 d")

    return decode_again


everything = takes(lambda _: True)
nothing = takes(lambda _: False)
