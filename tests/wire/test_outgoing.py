from __future__ import annotations

import asyncio
import time

from wire.messages import Receipt
from wire.outgoing import Entry, MemoryOutbox


def text(seq: int) -> bytes:
    return f"message {seq}".encode()


def pending(outbox: MemoryOutbox, limit: int = 10) -> list[Entry]:
    return list(asyncio.run(outbox.pending(limit)))


def test_messages_wait_in_order_with_their_numbers() -> None:
    outbox = MemoryOutbox()
    assert [outbox.append("t", text) for _ in range(3)] == [1, 2, 3]
    assert [(entry.seq, entry.payload) for entry in pending(outbox, 2)] == [(1, b"message 1"), (2, b"message 2")]
    assert outbox.waiting == 3


def test_an_array_takes_a_number_for_each_element() -> None:
    outbox = MemoryOutbox()
    outbox.append("t", text)
    assert outbox.append("t", text, 5) == 6
    assert outbox.append("t", text) == 7
    assert pending(outbox)[1].payload == b"message 2"


def test_what_is_delivered_or_refused_is_gone() -> None:
    outbox = MemoryOutbox()
    for _ in range(3):
        outbox.append("t", text)
    first, second, third = pending(outbox)
    outbox.settled([first], [second], [third])
    outbox.settled([first], [], [])
    assert [entry.seq for entry in pending(outbox)] == [3]
    assert outbox.dropped == 0


def test_a_full_outbox_drops_the_oldest_and_counts_them() -> None:
    outbox = MemoryOutbox(max_messages=2)
    for _ in range(5):
        outbox.append("t", text)
    assert [entry.seq for entry in pending(outbox)] == [4, 5]
    assert outbox.dropped == 3


def test_bytes_are_bounded_too() -> None:
    outbox = MemoryOutbox(max_bytes=250)
    for _ in range(5):
        outbox.append("topic12345", lambda _seq: b"x" * 90)
    assert [entry.seq for entry in pending(outbox)] == [4, 5]
    outbox.settled(pending(outbox, 1), [], [])
    outbox.append("topic12345", lambda _seq: b"x" * 90)
    assert outbox.waiting == 2


def test_its_figures_follow_what_comes_and_goes() -> None:
    outbox = MemoryOutbox()
    assert (outbox.waiting_bytes, outbox.oldest_ms) == (0, None)
    outbox.append("t", text)
    first_ms = outbox.oldest_ms
    assert first_ms is not None
    assert abs(first_ms - time.time() * 1000) < 60_000
    outbox.append("t", text)
    outbox.settled(pending(outbox), [], [])
    assert (outbox.waiting_bytes, outbox.taken_bytes, outbox.oldest_ms) == (0, 20, None)


def test_receipts_change_nothing_for_what_is_only_in_memory() -> None:
    outbox = MemoryOutbox()
    outbox.append("t", text)
    outbox.covered(Receipt(1, outbox.session))
    assert outbox.waiting == 1
    assert not outbox.durable


def test_each_outbox_has_a_session_of_its_own() -> None:
    assert MemoryOutbox().session != MemoryOutbox().session


def test_whoever_waits_for_messages_is_woken() -> None:
    async def test() -> None:
        outbox = MemoryOutbox()
        waiter = asyncio.create_task(outbox.changed.wait())
        await asyncio.sleep(0)
        outbox.append("t", text)
        await asyncio.wait_for(waiter, 60)

    asyncio.run(test())


def test_numbers_that_were_given_up_are_told_until_a_message_has_told_them() -> None:
    outbox = MemoryOutbox(max_messages=3)
    for _ in range(5):
        outbox.append("t", text)
    assert outbox.untold == (1, 2)
    report = outbox.append("t", text, tells=(1, 2))
    assert outbox.untold == (3, 3)
    outbox.settled([entry for entry in pending(outbox) if entry.seq == report], [], [])
    assert outbox.untold == (3, 3)


def test_a_message_that_told_and_was_given_up_itself_is_told_again() -> None:
    outbox = MemoryOutbox(max_messages=1)
    outbox.append("t", text)
    outbox.append("t", text)
    outbox.append("t", text, tells=(1, 1))
    outbox.append("t", text)
    assert outbox.untold == (1, 3)


def test_what_the_broker_refuses_for_good_is_given_up_too() -> None:
    outbox = MemoryOutbox()
    outbox.append("t", text, 4)
    outbox.settled([], pending(outbox), [])
    assert outbox.untold == (1, 4)
    assert outbox.dropped == 0
