"""The dead-letter store: every byte comes back, the bounds hold, the list is searched."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.rejects import KeptReject, RejectState
from hub.rejects.tables import ROW_BYTES
from tests.support.refused import HOSTILE, everything, ids, nothing, opened, reject
from wire.errors import Reason


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
            [held] = await rejects._file.run(lambda c: c.execute("SELECT count(*) FROM payloads").fetchone())
            assert held == sum(each.state is not RejectState.DROPPED for each in found)
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
