"""What a DuckDB store knows after it was closed, killed, or could not write."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from msgspec.structs import replace

from hub.store import duck_state, duck_write
from hub.store.base import FieldKind, Fn, LogQuery, Query, Series, SeriesFilter, Store, StoreBroken, StoreUnavailable
from tests.support.store_writer import KEYS, PER_BATCH, batch, clock
from tests.support.stores import ALL, EVER_LOGS, HOUR_NS, NOON, ROOM, assert_same_frames, at, line, run, samples
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hub.store.conftest import Opener


def test_everything_is_there_after_a_restart(duck: Opener) -> None:
    batch = [at(3, a=3.0, b=True, s="c"), at(1, a=1.0, s="a"), line(2, "hello")]

    async def write(store: Store) -> None:
        await store.write(batch)

    async def read(store: Store) -> None:
        assert await samples(store) == {"a": {1: 1.0, 3: 3.0}, "b": {3: 1.0}, "s": {1: "a", 3: "c"}}
        assert [record.message for record in await store.logs(LogQuery(0, 2**62))] == ["hello"]
        assert await store.series(ALL) == [
            Series(ROOM, "a", FieldKind.NUMBER, NOON + NS_PER_S, NOON + 3 * NS_PER_S),
            Series(ROOM, "b", FieldKind.BOOLEAN, NOON + 3 * NS_PER_S, NOON + 3 * NS_PER_S),
            Series(ROOM, "s", FieldKind.TEXT, NOON + NS_PER_S, NOON + 3 * NS_PER_S),
        ]
        assert [each.value for each in await store.last(ALL)] == [3.0, True, "c"]
        again = await store.write([*batch, at(4, a="text")])
        assert (again.accepted, again.duplicates, [r.index for r in again.rejected]) == (0, (0, 1, 2), [3])

    run(duck(), write)
    run(duck(), read)
    run(duck(), read)


def test_ids_of_series_are_not_given_twice_over_restarts(duck: Opener) -> None:
    for i in range(4):

        async def write(store: Store, i: int = i) -> None:
            await store.write([at(0, **{f"field{i}": float(i)})])

        run(duck(), write)

    async def read(store: Store) -> None:
        assert await samples(store) == {f"field{i}": {0: float(i)} for i in range(4)}

    run(duck(), read)


@pytest.mark.parametrize("seed", range(2))
def test_kill_9_keeps_every_acknowledged_batch_once_and_none_in_part(duck: Opener, tmp_path: Path, seed: int) -> None:
    dice, path, next_number = random.Random(seed), tmp_path / "tsdb.duckdb", 0
    for _ in range(2):
        begun, stored = _write_and_kill(path, next_number, dice.randrange(5, 25), dice.random() * 0.02)
        found = run(duck(now_ns=clock(begun)), _whole_batches)
        assert found in (set(range(stored + 1)), set(range(begun + 1)))

        async def write_all_again(store: Store, begun: int = begun) -> None:
            for number in range(begun + 1):
                await store.write(batch(number))

        run(duck(now_ns=clock(begun)), write_all_again)
        assert run(duck(now_ns=clock(begun)), _whole_batches) == set(range(begun + 1))
        next_number = begun + 1


def _write_and_kill(path: Path, first: int, batches: int, into_s: float = 0.0) -> tuple[int, int]:
    """Let a process write, and kill it within a batch; the last batch it began, and the last it knew to be stored."""
    command = [sys.executable, "-m", "tests.support.store_writer", str(path), str(first)]
    begun = stored = first - 1
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            word, number = line.split()
            begun, stored = (int(number), stored) if word == "writing" else (begun, int(number))
            if stored - first == batches and word == "writing":
                time.sleep(into_s)  # the moment of the fault
                process.kill()  # what is still in the pipe is read on
        assert process.wait() == -9
    return begun, stored


async def _whole_batches(store: Store) -> set[int]:
    """The batches that are stored; fails when one is there in part or twice, or roll-ups say otherwise."""
    frames = await store.query(Query(ALL, 0, 2**62))
    numbers = [int(value) for frame in frames if frame.series.field == "a" for value in frame.values]
    texts = [text for frame in frames if frame.series.field == "s" for text in frame.values]
    logs = [record.message for record in await store.logs(LogQuery(0, 2**62, limit=10**6))]
    found = set(numbers)
    assert len(numbers) == len(found) * len(KEYS)
    assert sorted(texts) == sorted(f"batch {number}" for number in found for _ in KEYS)
    assert sorted(logs) == sorted(f"batch {number}" for number in found)
    assert sum(len(frame.ts_ns) for frame in frames) + len(logs) == len(found) * PER_BATCH
    for last in await store.last(SeriesFilter(field="a")):
        (raw,) = [frame for frame in frames if frame.series == last.series]
        assert (last.series.first_ns, last.ts_ns, last.value) == (raw.ts_ns[0], raw.ts_ns[-1], raw.values[-1])
    for fn in (Fn.SUM, Fn.STDDEV, Fn.LAST):
        # A nanosecond more is no multiple of a minute: that answer comes from the samples alone.
        rolled_up, plain = [
            await store.query(Query(SeriesFilter(field="[ab]"), 0, 2**62, every_ns, fn))
            for every_ns in (10**4 * HOUR_NS, 10**4 * HOUR_NS + 1)
        ]
        assert_same_frames([replace(frame, ts_ns=rolled_up[0].ts_ns) for frame in plain], rolled_up, scale=10**4)
    return found


@pytest.mark.parametrize("step", range(1, 6))
def test_of_a_batch_that_fails_half_way_nothing_is_stored(
    duck: Opener, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    new = [at(1, a=1.0, other=2.0, s="x"), at(-86_400, a=3.0), line(1, "hello")]
    calls = 0

    def fail_at_step(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        duck_state.insert(*arguments)
        if calls == step:
            raise duckdb.IOException("the disk is gone")

    async def body(store: Store) -> None:
        await store.write([at(0, a=0.0)])
        with monkeypatch.context() as patched:
            patched.setattr(duck_write, "insert", fail_at_step)
            with pytest.raises(StoreUnavailable, match="the disk is gone"):
                await store.write([*new, *([at(-3600, a=1.0)] if step == 5 else [])])
        assert await samples(store) == {"a": {0: 0.0}}
        assert await store.logs(EVER_LOGS) == []
        assert (await store.write(new)).accepted == 5
        assert sorted((await samples(store))["a"]) == [-86_400, 0, 1]

    run(duck(), body)


def test_opening_reads_only_what_came_after_the_state_was_saved(duck: Opener, tmp_path: Path) -> None:
    async def write(store: Store) -> None:
        await store.write([at(i, a=float(i), s=str(i)) for i in range(10)])

    async def read(store: Store) -> None:
        assert {each.series.field: each.value for each in await store.last(ALL)} == {"a": 9.0, "s": "9"}

    run(duck(), write)
    with duckdb.connect(tmp_path / "tsdb.duckdb") as connection:
        # Were these rows read at opening, they would give another last value.
        connection.execute("UPDATE numbers_20251122 SET value = -1")
        connection.execute("UPDATE texts_20251122 SET value = 'changed'")
    run(duck(), read)


def test_a_second_process_is_told_who_holds_the_file(duck: Opener, tmp_path: Path) -> None:
    path = tmp_path / "tsdb.duckdb"
    command = [sys.executable, "-m", "tests.support.store_writer", str(path), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(
            StoreBroken, match=f"{path} is in use by process {process.pid}: one hub at a time can own it"
        ):
            run(duck(), _whole_batches)
        process.kill()


@pytest.mark.parametrize("when", ["commit", "checkpoint"])
def test_a_disk_that_takes_no_more_is_waited_out_without_loss(tmp_path: Path, when: str) -> None:
    # In a process of its own: the limit on the size of files stands for a full disk.
    command = [sys.executable, "-m", "tests.support.store_full_disk", str(tmp_path / "x.duckdb"), when]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"refused: {tmp_path}/x.duckdb: the disk does not take the write, free some space")


@pytest.mark.parametrize("content", [b"no database at all" * 1000, b"", b"\x00" * 20_000])
def test_a_file_that_is_no_database_is_left_alone_and_the_way_out_is_said(
    duck: Opener, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "tsdb.duckdb"
    path.write_bytes(content)
    with pytest.raises(StoreBroken, match=f"{path} is damaged: .* run `mv {path} {path}.damaged` and start again"):
        run(duck(), samples)
    assert path.read_bytes() == content
    path.rename(f"{path}.damaged")
    assert run(duck(), samples) == {}


@pytest.mark.parametrize("where", [0.01, 0.5, 0.99])
def test_a_damaged_block_of_the_file_is_found_at_the_latest_when_it_is_read(
    duck: Opener, tmp_path: Path, where: float
) -> None:
    async def write(store: Store) -> None:
        await store.write([at(i, **{f"f{j}": i * j / 7 for j in range(50)}) for i in range(2000)])

    run(duck(), write)
    path = tmp_path / "tsdb.duckdb"
    content = bytearray(path.read_bytes())
    content[int(len(content) * where)] ^= 0x55
    path.write_bytes(content)
    with pytest.raises(StoreBroken, match=f"mv {path} {path}.damaged"):
        run(duck(), samples)


def test_a_damaged_write_ahead_log_is_said_to_be_the_part_to_move_aside(duck: Opener, tmp_path: Path) -> None:
    path = tmp_path / "tsdb.duckdb"
    _write_and_kill(path, 0, 20)
    log = tmp_path / "tsdb.duckdb.wal"
    content = bytearray(log.read_bytes())
    content[300] ^= 0xFF
    log.write_bytes(content)
    with pytest.raises(StoreBroken, match=f"run `mv {log} {log}.damaged` and start again: all but"):
        run(duck(now_ns=clock(100)), samples)
    log.rename(f"{log}.damaged")
    run(duck(now_ns=clock(100)), samples)


def test_a_file_of_a_newer_program_is_left_alone(duck: Opener, tmp_path: Path) -> None:
    run(duck(), samples)
    with duckdb.connect(tmp_path / "tsdb.duckdb") as connection:
        connection.execute("UPDATE meta SET value = 99 WHERE name = 'schema'")
    for _ in range(2):
        with pytest.raises(StoreBroken, match="written by a newer version of this program"):
            run(duck(), samples)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    from hub.store.duck import DuckStore  # noqa: PLC0415

    with pytest.raises(StoreBroken, match=r"no/such/x.duckdb cannot be opened: .*Check that its directory exists"):
        run(DuckStore(tmp_path / "no" / "such" / "x.duckdb"), samples)
