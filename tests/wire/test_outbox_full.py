"""The outbox on disk when it is full, or when the disk is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.node import run
from tests.support.outboxes import is_full, numbers, opened, put, text
from tests.support.waiting import eventually
from wire.errors import OutboxError, OutboxFull
from wire.messages import Receipt
from wire.outbox_model import WhenFull

if TYPE_CHECKING:
    from pathlib import Path

    from wire.outbox import DiskOutbox


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


def test_a_full_outbox_gives_up_the_oldest_and_tells_it(path: Path) -> None:
    async def test() -> None:
        async with opened(path, max_bytes=20_000) as outbox:
            put(outbox, 30, lambda _seq: b"x" * 1000)
            await outbox.flush()
            left = await numbers(outbox)
            assert left == list(range(left[0], 31))
            assert 10 < len(left) < 20
            assert outbox.untold == (1, left[0] - 1)
            assert outbox.dropped == left[0] - 1
            assert outbox.waiting_bytes <= 20_000

    run(test)


def test_what_was_given_up_is_remembered_until_the_message_that_tells_it_is_covered(path: Path) -> None:
    async def test() -> None:
        async with opened(path, max_bytes=20_000) as outbox:
            put(outbox, 30, lambda _seq: b"x" * 1000)
            await outbox.flush()
            untold = outbox.untold
            assert untold is not None
        async with opened(path) as outbox:
            assert outbox.untold == untold
            report = outbox.append("topic", text, tells=untold)
        async with opened(path) as outbox:
            assert outbox.untold is None
            outbox.covered(Receipt(report, outbox.session))
            await eventually(lambda: outbox.waiting == 0)
            assert outbox._file._drops.all == []

    run(test)


def test_an_outbox_that_must_not_drop_refuses_when_full_and_takes_again_when_there_is_room(path: Path) -> None:
    async def test() -> None:
        async with opened(path, max_bytes=5_000, when_full=WhenFull.STOP_SAMPLING) as outbox:
            with pytest.raises(OutboxFull, match="may hold 5000"):
                put(outbox, 10, lambda _seq: b"x" * 1000)
            await outbox.flush()
            kept = await numbers(outbox)
            assert kept == [1, 2, 3, 4]
            assert outbox.dropped == 1
            assert is_full(outbox)
            outbox.covered(Receipt(3, outbox.session))
            await eventually(lambda: outbox.waiting == 1)
            assert not is_full(outbox)
            assert outbox.append("topic", text) == 5

    run(test)


def test_a_full_outbox_counts_as_full_until_a_tenth_of_it_is_free(path: Path) -> None:
    async def test() -> None:
        async with opened(path, max_bytes=50_000, when_full=WhenFull.STOP_SAMPLING) as outbox:
            assert not is_full(outbox)
            with pytest.raises(OutboxFull):
                put(outbox, 100, lambda _seq: b"x" * 900)
            await outbox.flush()
            outbox.covered(Receipt(1, outbox.session))
            await eventually(lambda: outbox.waiting == 50)
            assert is_full(outbox)
            outbox.covered(Receipt(6, outbox.session))
            await eventually(lambda: outbox.waiting == 45)
            assert not is_full(outbox)

    run(test)


def test_what_tells_the_hub_of_a_gap_finds_room_in_a_full_outbox(path: Path) -> None:
    async def test() -> None:
        async with opened(path, max_bytes=5_000, when_full=WhenFull.STOP_SAMPLING) as outbox:
            with pytest.raises(OutboxFull):
                put(outbox, 10, lambda _seq: b"x" * 1000)
            await outbox.flush()
            outbox.covered(Receipt(1, outbox.session))
            await eventually(lambda: outbox.waiting == 3)
            put(outbox, 1, lambda _seq: b"x" * 1000)
            outbox.covered(Receipt(0, outbox.session))  # a hub that was set up anew
            await eventually(lambda: outbox.untold is not None)
            with pytest.raises(OutboxFull):
                outbox.append("topic", lambda _seq: b"x" * 1000)
            assert outbox.append("topic", lambda _seq: b"x" * 1000, tells=(1, 1)) == 6

    run(test)


def limit_pages(outbox: DiskOutbox, extra: int) -> None:
    """As a disk that is full: the file may grow by ``extra`` pages and no more."""

    def limit() -> None:
        connection = outbox._file._connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + extra}")

    outbox._thread.submit(limit).result()


def test_on_a_full_disk_old_messages_make_room_for_new_ones(path: Path) -> None:
    async def test() -> None:
        async with opened(path) as outbox:
            put(outbox, 500, lambda _seq: b"x" * 5000)
            await outbox.flush()
            limit_pages(outbox, 0)
            for _ in range(20):
                put(outbox, 100, lambda _seq: b"y" * 5000)
                await outbox.flush()
            left = await numbers(outbox, 5000)
            assert left[-1] == 2500
            assert left == list(range(left[0], 2501))
            assert outbox.untold == (1, left[0] - 1)

    run(test)


def test_a_disk_that_takes_nothing_is_told_once_and_used_again_later(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with opened(path) as outbox:
            limit_pages(outbox, 0)
            put(outbox, 1, lambda _seq: b"x" * (2 << 20))  # more than the reserve, and nothing older to give up
            with pytest.raises(OutboxError):
                await outbox.flush()
            assert await numbers(outbox) == []
            limit_pages(outbox, 10_000)
            await eventually(lambda: outbox.waiting_bytes > 2 << 20 and not outbox._failing)
            assert await numbers(outbox) == [1]

    run(test)
    assert caplog.text.count("trying again until it works") == 1
