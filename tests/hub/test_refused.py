"""Points that were refused when they were replayed: kept as messages that would give them again."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from hub.ledger import Ledger, Settled
from hub.refused import RefusedLater, payload
from hub.rejects import Rejects
from hub.statefile import StateUnavailable
from hub.store.base import Rejected
from wire.errors import Reason
from wire.formats.base import Context, Limits
from wire.formats.json import decode_json
from wire.formats.logs import decode_logs
from wire.point import Point, SeriesKey
from wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hub.rejects.model import KeptReject
    from wire.formats.base import Decoded

    Decode = Callable[[bytes, Context, int], Decoded]

ARRIVAL_NS = 1_763_769_600 * 10**9
NUMBERS = Point(
    SeriesKey("dev1", "room", (("floor", "2"),)),
    ARRIVAL_NS + 123_456_789,
    {"t": 21.5, "on": True, "s": "é\n", "n": 1e300},
    seq=7,
)
LOG = Point(
    SeriesKey("dev1", "log", (("level", "error"), ("source", "nginx"))),
    ARRIVAL_NS + 123_456_789,
    {"message": "no", "status": 502.0},
    seq=8,
)


@pytest.mark.parametrize(("point", "decode"), [(NUMBERS, decode_json), (LOG, decode_logs)])
def test_the_message_made_from_a_point_gives_the_same_point(point: Point, decode: Decode) -> None:
    node, measurement = point.key.node, point.key.measurement
    context = Context(node, measurement, Limits(), SeriesKey(node, measurement))
    decoded = decode(payload(point), context, ARRIVAL_NS)
    assert decoded.points == [point]
    assert not decoded.refused


def kept(folder: Path, *points: Point) -> list[KeptReject]:
    async def main() -> list[KeptReject]:
        async with Rejects(folder / "rejects.db", max_bytes=1 << 20, max_messages=100) as rejects:
            later = RefusedLater(rejects, None, Topics(), lambda: ARRIVAL_NS)
            await later([(point, Rejected(i, "field type conflict")) for i, point in enumerate(points)])
            return await rejects.list()

    return asyncio.run(main())


def test_each_is_a_reject_on_the_topic_of_its_node_with_the_reason_of_the_server(tmp_path: Path) -> None:
    log, numbers = kept(tmp_path, NUMBERS, LOG)
    assert (numbers.topic, log.topic) == ("iot/v1/dev1/telemetry/room", "iot/v1/dev1/log")
    assert {(each.node, each.reason, each.detail) for each in (log, numbers)} == {
        ("dev1", Reason.STORE_REFUSED, "field type conflict")
    }


def test_a_measurement_that_no_topic_of_ours_can_name_is_kept_all_the_same(tmp_path: Path) -> None:
    (reject,) = kept(tmp_path, Point(SeriesKey("dev1", "zone/1"), ARRIVAL_NS, {"t": 1.0}))
    assert reject.topic == "iot/v1/dev1/telemetry/unnamed"


def as_stored(node: str, messages: int) -> Settled:
    counted = Counter({node: messages})
    return Settled(ARRIVAL_NS, counted, counted, Counter(), Counter(), Counter(), Counter(), [])


def test_the_ledger_moves_what_it_counted_as_stored_to_refused_and_stays_balanced(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Rejects(tmp_path / "rejects.db", max_bytes=1 << 20, max_messages=100) as rejects,
            Ledger(tmp_path / "ledger.db") as ledger,
        ):
            await ledger.settle(as_stored("dev1", 5))
            later = RefusedLater(rejects, ledger, Topics(), lambda: ARRIVAL_NS)
            await later(
                [(NUMBERS, Rejected(0, "no")), (LOG, Rejected(1, "no")), (NUMBERS, Rejected(2, "b", whole=False))]
            )
            for counts in (ledger.totals(), ledger.rows("dev1")[0], (await ledger.hours("dev1"))[0]):
                assert (counts.received, counts.stored, counts.unaccounted) == (5, 3, 0)
                assert counts.refused == {Reason.STORE_REFUSED.value: 2}
                assert counts.values_refused == {Reason.STORE_REFUSED.value: 1}
        async with Ledger(tmp_path / "ledger.db") as again:
            assert (again.totals().stored, again.totals().unaccounted) == (3, 0)

    asyncio.run(main())


def test_of_arrays_no_more_messages_are_moved_than_the_node_has_stored(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Rejects(tmp_path / "rejects.db", max_bytes=1 << 20, max_messages=100) as rejects,
            Ledger(tmp_path / "ledger.db") as ledger,
        ):
            await ledger.settle(as_stored("dev1", 2))
            await ledger.settle(as_stored("dev2", 9))
            later = RefusedLater(rejects, ledger, Topics(), lambda: ARRIVAL_NS)
            await later([(NUMBERS, Rejected(i, "no")) for i in range(5)])
            (row,) = ledger.rows("dev1")
            assert (row.received, row.stored, row.unaccounted) == (2, 0, 0)
            assert (row.refused, row.values_refused) == ({"store-refused": 2}, {"store-refused": 3})
            assert ledger.totals().unaccounted == 0
            assert len(await rejects.list()) == 5, "each point is kept"

    asyncio.run(main())


def test_what_is_kept_is_not_kept_again_when_the_ledger_could_not_count_it(tmp_path: Path) -> None:
    class Full(Ledger):
        is_full = True

        async def settle(self, settled: Settled) -> None:
            if self.is_full:
                raise StateUnavailable("no space left")
            await super().settle(settled)

    async def main() -> None:
        async with (
            Rejects(tmp_path / "rejects.db", max_bytes=1 << 20, max_messages=100) as rejects,
            Full(tmp_path / "ledger.db") as ledger,
        ):
            await Ledger.settle(ledger, as_stored("dev1", 1))
            later, refused = RefusedLater(rejects, ledger, Topics(), lambda: ARRIVAL_NS), [(NUMBERS, Rejected(0, "no"))]
            with pytest.raises(StateUnavailable):
                await later(refused)
            ledger.is_full = False
            await later(refused)
            assert len(await rejects.list()) == 1
            assert ledger.totals().refused == {Reason.STORE_REFUSED.value: 1}

    asyncio.run(main())
