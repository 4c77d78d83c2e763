"""The dead-letter store: durable, bounded, searched, replayed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.rejects import KeptReject, Reject, Rejects, RejectState, ReplayOutcome
from hub.rejects.tables import ROW_BYTES
from hub.statefile import StateFull
from tests.support.smalldisk import small_disk
from wire.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

HOSTILE = b"\x00\xff\xfe\x1b[2J\x1b]0;owned\x07\r\n{'\"; DROP TABLE rejects; --" + bytes(range(256))
S = 1_000_000_000


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


def test_a_reject_is_there_after_a_restart_with_every_byte(tmp_path: Path) -> None:
    kept = reject(
        "a/\x1b[31m/Ω/\u202e", HOSTILE, arrival_ns=5, detail="bad \udc80 \x00", node=None, retain=True, partial=True
    )

    async def main() -> KeptReject | None:
        async with opened(tmp_path) as rejects:
            await rejects.keep([kept])
        async with opened(tmp_path) as rejects:
            assert rejects.stats().kept == 1
            return await rejects.show(1)

    found = asyncio.run(main())
    assert found is not None
    assert (found.payload, found.size_bytes) == (HOSTILE, len(HOSTILE))
    assert (found.topic, found.node, found.arrival_ns) == (kept.topic, None, 5)
    assert (found.detail, found.reason, found.version) == ("bad \\udc80 \x00", "not-json", "0.1.0")
    assert (found.retain, found.partial, found.state, found.changed_ns) == (True, True, RejectState.KEPT, None)


@settings(max_examples=30)
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=30))
def test_any_bytes_come_back_as_they_were_in_order(payloads: list[bytes]) -> None:
    async def main(folder: Path) -> None:
        async with opened(folder) as rejects:
            await rejects.keep([reject(payload=payload, topic=f"t/{i}") for i, payload in enumerate(payloads)])
            listed = await rejects.list(limit=100)
            assert ids(listed) == list(range(len(payloads), 0, -1))
            assert [each.payload for each in listed] == [b""] * len(payloads)
            for i, payload in enumerate(payloads):
                found = await rejects.show(i + 1)
                assert found is not None
                assert (found.topic, found.payload) == (f"t/{i}", payload)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))


def test_a_batch_of_thousands_is_kept_in_order(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, max_messages=10_000, max_bytes=1 << 30) as rejects:
            await rejects.keep([reject(arrival_ns=i) for i in range(2345)])
            await rejects.keep([])
            found = await rejects.list(limit=3000)
            assert [each.arrival_ns for each in found] == list(range(2344, -1, -1))

    asyncio.run(main())


def test_the_oldest_go_when_there_are_too_many_and_are_counted_over_restarts(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, max_messages=5) as rejects:
            await rejects.keep([reject() for _ in range(8)])
            assert ids(await rejects.list()) == [8, 7, 6, 5, 4]
            assert await rejects.show(3) is None
        async with opened(tmp_path, max_messages=5) as rejects:
            await rejects.keep([reject() for _ in range(2)])
            assert ids(await rejects.list()) == [10, 9, 8, 7, 6]
            stats = rejects.stats()
            assert (stats.kept, stats.evicted) == (5, 5)

    asyncio.run(main())


def test_the_oldest_go_when_they_are_too_large(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, max_bytes=100_000) as rejects:
            for _ in range(5):
                await rejects.keep([reject(payload=bytes(30_000))])
            assert ids(await rejects.list()) == [5, 4, 3]
            await rejects.keep([reject(payload=bytes(500_000))])
            assert ids(await rejects.list()) == [6]  # the newest stays, however large
            stats = rejects.stats()
            assert (stats.kept, stats.evicted) == (1, 5)

    asyncio.run(main())


def test_those_that_are_done_with_go_before_those_that_are_kept(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, max_messages=5) as rejects:
            await rejects.keep([reject() for _ in range(5)])
            await rejects.replay([3], everything)
            await rejects.drop([4])
            await rejects.keep([reject()])
            assert ids(await rejects.list()) == [6, 5, 4, 2, 1]
            await rejects.keep([reject(), reject()])
            assert ids(await rejects.list()) == [8, 7, 6, 5, 2]
            stats = rejects.stats()
            assert (stats.kept, stats.replayed, stats.dropped, stats.evicted) == (5, 0, 0, 1)

    asyncio.run(main())


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["keep", "drop", "replay", "refuse", "reopen"]), st.integers(1, 12), st.integers(0, 900)
        ),
        max_size=15,
    )
)
def test_figures_and_bounds_hold_whatever_is_done(steps: list[tuple[str, int, int]]) -> None:
    async def main(folder: Path) -> None:
        rejects = opened(folder, max_bytes=3000, max_messages=8)
        await rejects.__aenter__()
        kept = 0
        for step, n, size in steps:
            if step == "keep":
                await rejects.keep([reject(payload=bytes(size)) for _ in range(n)])
                kept += n
            elif step == "drop":
                await rejects.drop([n, n + 1])
            elif step == "reopen":
                await rejects.__aexit__(None, None, None)
                rejects = opened(folder, max_bytes=3000, max_messages=8)
                await rejects.__aenter__()
            else:
                await rejects.replay([n, n + 1], everything if step == "replay" else nothing)
            found, stats = await rejects.list(limit=100), rejects.stats()
            for state in RejectState:
                assert getattr(stats, state) == sum(each.state is state for each in found)
            cost = sum(
                (0 if each.state is RejectState.DROPPED else each.size_bytes)
                + len(each.topic)
                + len("no JSON")
                + ROW_BYTES
                for each in found
            )
            assert stats.size_bytes == cost
            assert len(found) <= 8
            assert cost <= 3000 or len(found) == 1
            assert kept == 0 or found[0].id == kept
            payloads = [await rejects.show(each.id) for each in found]
            assert [len(each.payload) for each in payloads if each is not None] == [
                0 if each.state is RejectState.DROPPED else each.size_bytes for each in found
            ]
        await rejects.__aexit__(None, None, None)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))


def test_lists_are_filtered_and_paged(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as rejects:
            await rejects.keep(
                [
                    reject("iot/v1/n1/telemetry/a", arrival_ns=1, node="n1"),
                    reject("iot/v1/n1/log", arrival_ns=2, node="n1", reason=Reason.BAD_LINE),
                    reject("iot/v1/n2/telemetry/a", arrival_ns=3, node="n2"),
                    reject("other", arrival_ns=4, node=None, reason=Reason.UNKNOWN_TOPIC),
                ]
            )
            await rejects.drop([3])
            assert ids(await rejects.list(node="n1")) == [2, 1]
            assert ids(await rejects.list(node="n*")) == [3, 2, 1]
            assert ids(await rejects.list(reason="not-json")) == [3, 1]
            assert ids(await rejects.list(topic="iot/*/telemetry/*")) == [3, 1]
            assert ids(await rejects.list(topic="OTHER")) == []
            assert ids(await rejects.list(state=RejectState.KEPT)) == [4, 2, 1]
            assert ids(await rejects.list(since_ns=2, until_ns=4)) == [3, 2]
            assert ids(await rejects.list(node="n1", reason="bad-line", state=RejectState.KEPT, since_ns=1)) == [2]
            assert ids(await rejects.list(limit=2)) == [4, 3]
            assert ids(await rejects.list(limit=2, before_id=3)) == [2, 1]
            assert ids(await rejects.list(node="' OR 1=1 --")) == []

    asyncio.run(main())


def test_a_replay_gives_the_decoder_what_came_and_marks_what_it_takes(tmp_path: Path) -> None:
    seen: list[Reject] = []

    async def decode_again(message: Reject) -> ReplayOutcome:
        seen.append(message)
        return ReplayOutcome() if message.payload == b"good" else ReplayOutcome(Reason.TOO_OLD, "older than 30 d")

    came = [reject(payload=b"good", arrival_ns=5, retain=True), reject(payload=b"bad"), reject(payload=b"gone")]

    async def main() -> None:
        async with opened(tmp_path, clock_ns=99) as rejects:
            await rejects.keep(came)
            await rejects.drop([3])
            report = await rejects.replay([3, 2, 1, 1, 17], decode_again)
            assert (report.replayed, report.refused, report.gone) == ((1,), (2,), (3, 17))
            assert seen == came[:2]
            [_, bad, good] = await rejects.list()
            assert (good.state, good.changed_ns, good.reason) == (RejectState.REPLAYED, 99, "not-json")
            assert (bad.state, bad.changed_ns, bad.reason, bad.detail) == (
                RejectState.KEPT,
                99,
                "too-old",
                "older than 30 d",
            )

    asyncio.run(main())


def test_what_was_stored_in_part_stays_so_when_a_replay_adds_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as rejects:
            await rejects.keep([reject(partial=True), reject()])
            await rejects.replay([1, 2], nothing)
            assert [each.partial for each in await rejects.list()] == [False, True]

    asyncio.run(main())


def test_a_replay_that_the_store_ends_keeps_what_it_had_done(tmp_path: Path) -> None:
    async def decode_again(message: Reject) -> ReplayOutcome:
        if message.arrival_ns == 20:
            raise ConnectionError("the store went away")
        return ReplayOutcome()

    async def main() -> None:
        async with opened(tmp_path) as rejects:
            await rejects.keep([reject(arrival_ns=i) for i in range(40)])
            with pytest.raises(ConnectionError):
                await rejects.replay(range(1, 41), decode_again)
            assert rejects.stats().replayed == 20
            report = await rejects.replay(range(1, 41), everything)
            assert len(report.replayed) == 40

    asyncio.run(main())


def test_two_replays_never_run_at_the_same_time(tmp_path: Path) -> None:
    running = 0

    async def decode_again(_: Reject) -> ReplayOutcome:
        nonlocal running
        running += 1
        await asyncio.sleep(0)
        assert running == 1
        running -= 1
        return ReplayOutcome()

    async def main() -> None:
        async with opened(tmp_path) as rejects:
            await rejects.keep([reject() for _ in range(20)])
            async with asyncio.TaskGroup() as tasks:
                for _ in range(3):
                    tasks.create_task(rejects.replay(range(1, 21), decode_again))
            assert rejects.stats().replayed == 20

    asyncio.run(main())


def test_a_reject_that_is_dropped_during_its_replay_stays_dropped(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as rejects:

            async def decode_again(_: Reject) -> ReplayOutcome:
                await rejects.drop([1])
                return ReplayOutcome()

            await rejects.keep([reject()])
            await rejects.replay([1], decode_again)
            stats = rejects.stats()
            assert (stats.kept, stats.replayed, stats.dropped) == (0, 0, 1)

    asyncio.run(main())


def test_dropping_removes_the_bytes_and_keeps_the_record(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as rejects:
            await rejects.keep([reject(payload=b"secret" * 100), reject()])
            assert await rejects.drop([1, 1, 5]) == 1
            assert await rejects.drop([1]) == 0
            found = await rejects.show(1)
            assert found is not None
            assert (found.state, found.payload, found.size_bytes, found.topic) == (
                RejectState.DROPPED,
                b"",
                600,
                "iot/v1/n1/telemetry/room",
            )
            [n] = await rejects._file.run(lambda c: c.execute("SELECT count(*) FROM payloads").fetchone())
            assert n == 1

    asyncio.run(main())


def test_a_full_disk_keeps_nothing_of_the_batch_and_all_of_it_when_there_is_space(tmp_path: Path) -> None:
    async def main(folder: Path) -> None:
        batch = [reject(payload=bytes(1000), arrival_ns=i) for i in range(2000)]
        async with opened(folder, max_bytes=1 << 30, max_messages=100_000) as rejects:
            await rejects.keep([reject()])
            await disk.fill(rejects._file)
            with pytest.raises(StateFull):
                await rejects.keep(batch)
            assert rejects.stats().kept == 1
            assert ids(await rejects.list()) == [1]
            await disk.free(rejects._file)
            await rejects.keep(batch)
            assert rejects.stats().kept == 2001
            assert [each.arrival_ns for each in await rejects.list(limit=2)] == [1999, 1998]

    with small_disk(tmp_path, "12m") as disk:
        asyncio.run(main(disk.path))


def test_a_damaged_file_is_moved_aside_and_refused_messages_are_kept_again(tmp_path: Path) -> None:
    (tmp_path / "rejects.db").write_bytes(HOSTILE * 100)

    async def main() -> None:
        async with opened(tmp_path) as rejects:
            await rejects.keep([reject()])
            assert ids(await rejects.list()) == [1]

    asyncio.run(main())
    assert len(list(tmp_path.glob("rejects.db.damaged-*"))) == 1


_KEEPER = """
import asyncio, sys
from pathlib import Path
from hub.rejects import Reject, Rejects
from wire.errors import Reason
async def main():
    async with Rejects(Path(sys.argv[1]), max_bytes=1 << 30, max_messages=1_000_000) as rejects:
        for i in range(1_000_000):
            one = Reject("t", bytes(2000), i, Reason.NOT_JSON, "", None, False, False)
            await rejects.keep([one, one, one])
            print(i + 1, flush=True)
asyncio.run(main())
"""


def test_kept_rejects_outlive_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "rejects.db"
    process = subprocess.Popen([sys.executable, "-c", _KEEPER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = 0
    while said < 50:
        said = int(process.stdout.readline())
    process.kill()
    said = int([str(said), *process.stdout.read().split()][-1])
    process.wait()
    process.stdout.close()

    async def main() -> None:
        async with opened(tmp_path, max_bytes=1 << 30, max_messages=1_000_000) as rejects:
            assert rejects.stats().kept in {said * 3, said * 3 + 3}
            last = await rejects.show(said * 3)
            assert last is not None
            assert (last.arrival_ns, last.payload) == (said - 1, bytes(2000))

    asyncio.run(main())
