"""The outbox on disk."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.node import run
from tests.support.outboxes import numbers, opened, put, text
from tests.support.waiting import eventually
from wire.errors import OutboxError
from wire.messages import Receipt
from wire.outgoing import Entry

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


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
        writer.wait(timeout=60)
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
