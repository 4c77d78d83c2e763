from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent.history import History
from wire.outgoing import MemoryOutbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from wire.point import Value

ROOM = 1_000_000


class Clocks:
    """An outbox that takes 1000 bytes at a time, and clocks that are put forward by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.outbox = MemoryOutbox(max_bytes=ROOM)
        self.history = History(self.outbox, clock_s=lambda: self.now_s, clock_ms=lambda: int(self.later_ms))
        self.later_ms = 0.0

    def take(self, count: int) -> None:
        for _ in range(count):
            self.outbox.append("t", lambda _seq: b"x" * 999)

    def after(self, seconds: float) -> dict[str, Value]:
        self.now_s += seconds
        return self.history.figures()


def clocks(test: Callable[[Clocks], None]) -> None:
    async def run() -> None:
        test(Clocks())

    asyncio.run(run())


def test_what_waits_is_shown_in_messages_and_bytes() -> None:
    def test(c: Clocks) -> None:
        c.take(3)
        figures = c.after(0)
        assert (figures["outbox_messages"], figures["outbox_bytes"]) == (3, 3000)

    clocks(test)


def test_what_it_holds_in_hours_is_the_age_of_the_oldest_message() -> None:
    def test(c: Clocks) -> None:
        assert c.after(0)["outbox_held_hours"] == 0
        c.take(2)
        assert c.outbox.oldest_ms is not None
        c.later_ms = c.outbox.oldest_ms + 7_200_000
        assert c.after(0)["outbox_held_hours"] == 2

    clocks(test)


def test_a_clock_that_went_back_makes_no_negative_age() -> None:
    def test(c: Clocks) -> None:
        c.take(1)
        c.later_ms = 0
        assert c.after(0)["outbox_held_hours"] == 0

    clocks(test)


def test_the_time_left_is_that_of_the_free_room_at_the_present_rate() -> None:
    def test(c: Clocks) -> None:
        c.after(0)
        c.take(100)
        assert c.after(1000)["outbox_left_hours"] == 900_000 / 100 / 3600

    clocks(test)


def test_the_rate_of_the_first_minute_says_nothing_about_the_time_left() -> None:
    def test(c: Clocks) -> None:
        c.take(1)
        assert "outbox_left_hours" not in c.after(0)
        c.take(1)
        assert "outbox_left_hours" not in c.after(59)
        assert "outbox_left_hours" in c.after(1)

    clocks(test)


def test_a_host_that_sends_nothing_has_no_end_in_sight() -> None:
    def test(c: Clocks) -> None:
        c.after(0)
        assert "outbox_left_hours" not in c.after(100)

    clocks(test)


def test_the_rate_follows_what_happened_in_the_last_ten_minutes() -> None:
    def test(c: Clocks) -> None:
        c.take(500)
        for _ in range(11):
            c.after(60)
        c.take(60)
        for _ in range(9):
            c.after(60)
        assert c.after(60)["outbox_left_hours"] == 440_000 / 100 / 3600

    clocks(test)
