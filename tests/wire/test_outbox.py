"""The outbox on disk."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.waiting import eventually
from wire.errors import OutboxError, OutboxFull
from wire.messages import Receipt
from wire.outbox import DiskOutbox
from wire.outbox_model import WhenFull
from wire.outgoing import Entry
from wire.sending import SendPlan

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


def text(seq: int) -> bytes:
    return f"message {seq}".encode()


def wide(covered: int, last: int) -> SendPlan:
    """Without pace and probe, for tests of what is kept."""
    plan = SendPlan(covered, last, window=10**9, backlog_per_s=1e12)
    plan._window = 10**9
    return plan


def opened(path: Path, **options: object) -> DiskOutbox:
    return DiskOutbox(path, plan=wide, **options)  # type: ignore[arg-type]  # as the test gives them


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(limited())


async def numbers(outbox: DiskOutbox, limit: int = 1000) -> list[int]:
    return [entry.seq for entry in await outbox.pending(limit)]


def put(outbox: DiskOutbox, count: int, encode: Callable[[int], bytes] = text) -> None:
    for _ in range(count):
        outbox.append("topic", encode)


def is_full(outbox: DiskOutbox) -> bool:
    """Asked anew at each call, also in the eyes of a type checker."""
    return outbox.full


def test_messages_wait_on_disk_in_order(path: Path) -> None:
    async def test() -> None:
        async with opened(path) as outbox:
            put(outbox, 3)
            assert outbox.append("topic", text, 4) == 7
            await outbox.flush()
            assert await outbox.pending(10) == [
                Entry(1, 1, "topic", b"message 1"),
                Entry(2, 2, "topic", b"message 2"),
                Entry(3, 3, "topic", b"message 3"),
                Entry(4, 7, "topic", b"message 4"),
            ]
            assert outbox.waiting == 4
            assert outbox.durable

    run(test)


def test_session_and_numbers_go_on_after_a_restart(path: Path) -> None:
    async def test() -> None:
        async with opened(path) as outbox:
            session = outbox.session
            put(outbox, 3)
        async with opened(path) as outbox:
            assert outbox.session == session
            assert outbox.append("topic", text) == 4
            await outbox.flush()
            assert sorted(await numbers(outbox)) == [1, 2, 3, 4]
            outbox.covered(Receipt(4, session))
        async with opened(path) as outbox:
            assert outbox.waiting == 0
            assert outbox.append("topic", text) == 5

    run(test)


def test_the_file_is_for_its_owner_only(path: Path) -> None:
    async def test() -> None:
        async with opened(path) as outbox:
            put(outbox, 1)
            await outbox.flush()
            assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}

    run(test)


def test_an_acknowledged_message_stays_until_a_receipt_covers_it(path: Path) -> None:
    async def test() -> None:
        async with opened(path) as outbox:
            put(outbox, 3)
            await outbox.flush()
            outbox.settled(await outbox.pending(10), [], [])
            assert await numbers(outbox) == []
            assert outbox.waiting == 3
            outbox.rewind()
            assert await numbers(outbox) == [1, 2, 3]
            outbox.covered(Receipt(2, outbox.session))
            await eventually(lambda: outbox.waiting == 1)
            assert await numbers(outbox) == [3]

    run(test)


def test_a_receipt_for_another_session_changes_nothing(path: Path) -> None:
    async def test() -> None:
        async with opened(path) as outbox:
            put(outbox, 3)
            await outbox.flush()
            outbox.covered(Receipt(3, "another"))
            put(outbox, 1)
            await outbox.flush()
            assert outbox.waiting == 4

    run(test)


def test_what_the_broker_did_not_take_is_sent_again(path: Path) -> None:
    async def test() -> None:
        async with opened(path) as outbox:
            put(outbox, 3)
            await outbox.flush()
            first, second, third = await outbox.pending(10)
            outbox.settled([first], [], [second, third])
            assert await numbers(outbox) == [1, 2, 3]

    run(test)


def test_what_the_broker_refuses_for_good_is_given_up_and_told(path: Path) -> None:
    async def test() -> None:
        async with opened(path) as outbox:
            put(outbox, 3)
            await outbox.flush()
            first, second, third = await outbox.pending(10)
            outbox.settled([first, third], [second], [])
            await eventually(lambda: outbox.waiting == 2)
            assert outbox.untold == (2, 2)

    run(test)


def test_new_messages_go_before_the_backlog(path: Path) -> None:
    async def test() -> None:
        async with opened(path) as outbox:
            put(outbox, 100)
        async with opened(path) as outbox:
            put(outbox, 2)
            await outbox.flush()
            assert await numbers(outbox, 5) == [101, 102, 1, 2, 3]

    run(test)


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


def test_a_hub_that_was_set_up_anew_is_told_what_it_will_never_get(path: Path) -> None:
    async def test() -> None:
        async with opened(path) as outbox:
            put(outbox, 10)
            await outbox.flush()
            outbox.covered(Receipt(7, outbox.session))
            await eventually(lambda: outbox.waiting == 3)
            outbox.covered(Receipt(0, outbox.session))
            await eventually(lambda: outbox.untold is not None)
            assert outbox.untold == (1, 7)
            assert outbox.waiting == 3

    run(test)


def test_an_old_receipt_that_a_broker_kept_gives_nothing_up(path: Path) -> None:
    async def test() -> None:
        async with opened(path) as outbox:
            put(outbox, 10)
            await outbox.flush()
            outbox.covered(Receipt(7, outbox.session), retained=True)
            await eventually(lambda: outbox.waiting == 3)
            outbox.covered(Receipt(5, outbox.session), retained=True)
            put(outbox, 1)
            await outbox.flush()
            assert outbox.untold is None

    run(test)


def test_a_hub_that_knows_higher_numbers_makes_us_skip_them(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with opened(path) as outbox:
            outbox.covered(Receipt(500, outbox.session))
            assert outbox.append("topic", text) == 501
        assert "old copy" in caplog.text
        async with opened(path) as outbox:
            assert outbox.append("topic", text) == 502

    run(test)


def test_two_processes_cannot_share_an_outbox(path: Path) -> None:
    async def test() -> None:
        async with opened(path):
            with pytest.raises(OutboxError, match="another agent runs with this state directory"):
                async with opened(path):
                    pass

    run(test)


def test_a_damaged_file_is_moved_aside_and_a_new_one_begun(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_bytes(b"this is no database, but long enough to look like a header of one" * 100)

    async def test() -> None:
        async with opened(path) as outbox:
            assert outbox.append("topic", text) == 1
            await outbox.flush()

    run(test)
    assert len(list(path.parent.glob("outbox.db.broken-*"))) == 1
    assert "is damaged" in caplog.text


def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()

    async def test() -> None:
        with pytest.raises(OutboxError, match="newer version"):
            async with opened(path):
                pass

    run(test)
    assert path.exists()


def test_a_folder_that_is_not_there_says_so(path: Path) -> None:
    async def test() -> None:
        with pytest.raises(OutboxError, match="cannot open"):
            async with opened(path / "deeper"):
                pass

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


WRITER = """
import asyncio, sys
from pathlib import Path
from wire.outbox import DiskOutbox

async def main():
    async with DiskOutbox(Path(sys.argv[1])) as outbox:
        while True:
            for _ in range(50):
                outbox.append("topic", lambda seq: str(seq).encode() + b" " * 500)
            await outbox.flush()
            entries = await outbox.pending(10_000)
            print(outbox.session, outbox._plan.last, flush=True)

asyncio.run(main())
"""


def test_killed_at_any_moment_nothing_that_was_on_disk_is_lost_and_no_number_is_given_twice(path: Path) -> None:
    confirmed, last = 0, "0"
    session, sessions = "", set()
    for round_ in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        for _ in range(5 + 7 * round_):  # another moment each time
            session, last = writer.stdout.readline().split()
        os.kill(writer.pid, signal.SIGKILL)
        said = writer.stdout.read().split()
        writer.wait(timeout=20)
        writer.stdout.close()
        sessions.add(session)
        last_said = int(said[-1]) if said and len(said) % 2 == 0 else int(last)
        assert last_said > confirmed
        confirmed = last_said

    async def test() -> None:
        async with opened(path) as outbox:
            sessions.add(outbox.session)
            entries = await outbox.pending(10**6)
            assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
            assert len(entries) >= confirmed
            assert all(int(entry.payload) == entry.seq for entry in entries)
            assert outbox.append("topic", text) == len(entries) + 1

    run(test)
    assert len(sessions) == 1
