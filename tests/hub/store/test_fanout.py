"""Several sinks: each has its own progress, and a batch is durable when every one of them has it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from hub.store.base import StoreBroken, StoreUnavailable
from hub.store.fanout import FanOut
from hub.store.spool import Spool
from hub.store.spooled import SpooledStore
from tests.support.spools import ScriptedStore, away, batch
from tests.support.stores import NOON, samples
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path

    from hub.store.base import Rejected
    from wire.point import Point


async def keep(_refused: Sequence[tuple[Point, Rejected]]) -> None:
    raise AssertionError("nothing is refused here")


class Rig:
    """Two sinks behind spools, of at most ``max_bytes``."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.influx, self.duck = ScriptedStore(), ScriptedStore()
        self.spools = {name: Spool(folder / name, max_bytes=max_bytes) for name in ("influx", "duck")}
        self.fan = FanOut(
            {
                name: SpooledStore(store, self.spools[name], name=name, on_refused=keep, retry_s=0.01)
                for name, store in (("influx", self.influx), ("duck", self.duck))
            }
        )


def running(folder: Path, body: Callable[[Rig], Coroutine[Any, Any, None]], max_bytes: int = 1 << 20) -> None:
    rig = Rig(folder, max_bytes)

    async def main() -> None:
        async with rig.fan:
            await body(rig)

    asyncio.run(main())


def plain(body: Callable[[FanOut, ScriptedStore, ScriptedStore], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        one, two = ScriptedStore(), ScriptedStore()
        async with FanOut({"influx": one, "duck": two}) as fan:
            await body(fan, one, two)

    asyncio.run(main())


@pytest.mark.parametrize("dead", ["influx", "duck"])
def test_a_dead_sink_does_not_hold_the_other_back_and_catches_up_by_itself(tmp_path: Path, dead: str) -> None:
    async def body(rig: Rig) -> None:
        one, other = (rig.influx, rig.duck) if dead == "influx" else (rig.duck, rig.influx)
        one.error = away()
        for start in range(0, 30, 3):
            await rig.fan.write(batch(start))
        assert other.all_written() == list(range(30))
        assert one.all_written() == []
        one.error = None
        await eventually(lambda: rig.spools[dead].is_empty)
        assert one.all_written() == list(range(30))
        assert other.all_written() == list(range(30))

    running(tmp_path, body)


def test_a_sink_with_a_full_spool_stops_the_acknowledgements_and_the_other_gets_the_batch_once(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        rig.influx.error = away()
        taken, pending = 0, batch(0)
        while rig.spools["influx"].stats().size_bytes < 2850:
            await rig.fan.write(pending)
            taken += 3
            pending = batch(taken)
        for _ in range(4):
            with pytest.raises(StoreUnavailable, match=r"influx is full"):
                await rig.fan.write(pending)
        assert rig.duck.all_written() == list(range(taken + 3))
        rig.influx.error = None
        await eventually(lambda: rig.spools["influx"].is_empty)
        await rig.fan.write(pending)
        assert rig.influx.all_written() == list(range(taken + 3))
        assert rig.duck.all_written() == list(range(taken + 3))

    running(tmp_path, body, max_bytes=3000)


def test_the_first_sink_answers_what_is_asked() -> None:
    async def body(fan: FanOut, one: ScriptedStore, two: ScriptedStore) -> None:
        await two.write(batch(0))
        assert await samples(fan) == {}
        await one.write(batch(0))
        assert len((await samples(fan))["n"]) == 3

    plain(body)


def test_the_result_is_that_of_the_first_and_every_refusal_names_its_sink() -> None:
    async def body(fan: FanOut, one: ScriptedStore, two: ScriptedStore) -> None:
        one.bad, two.bad = {0, 1}, {1, 2}
        result = await fan.write(batch(0))
        assert result.accepted == 3
        assert [(refused.index, refused.reason, refused.whole) for refused in result.rejected] == [
            (0, "influx: bad point", False),
            (1, "influx: bad point; duck: bad point", True),
            (2, "duck: bad point", False),
        ]

    plain(body)


def test_what_stops_the_hub_goes_before_what_makes_it_wait() -> None:
    async def body(fan: FanOut, one: ScriptedStore, two: ScriptedStore) -> None:
        one.error, two.error = away(), StoreBroken("no rights")
        with pytest.raises(StoreBroken):
            await fan.write(batch(0))

    plain(body)


def test_an_equal_batch_that_is_another_one_goes_to_every_sink_again() -> None:
    async def body(fan: FanOut, one: ScriptedStore, two: ScriptedStore) -> None:
        one.error = away()
        with pytest.raises(StoreUnavailable):
            await fan.write(batch(0))
        with pytest.raises(StoreUnavailable):
            await fan.write(batch(0))
        assert two.all_written() == [0, 1, 2, 0, 1, 2]

    plain(body)


def test_every_sink_is_maintained_though_one_cannot_be() -> None:
    class Failing(ScriptedStore):
        async def maintain(self, now_ns: int) -> Any:
            raise away(f"at {now_ns}")

    class Counting(ScriptedStore):
        maintained = 0

        async def maintain(self, now_ns: int) -> Any:
            self.maintained += 1
            return await super().maintain(now_ns)

    async def main() -> None:
        second = Counting()
        async with FanOut({"influx": Failing(), "duck": second}) as fan:
            with pytest.raises(StoreUnavailable):
                await fan.maintain(NOON)
        assert second.maintained == 1

    asyncio.run(main())


def test_a_sink_that_cannot_be_opened_closes_those_before_it() -> None:
    one, two = ScriptedStore(), ScriptedStore()
    two.closed_for = StoreBroken("no rights")

    async def main() -> None:
        async with FanOut({"influx": one, "duck": two}):
            pass

    with pytest.raises(StoreBroken):
        asyncio.run(main())
    assert (one.entered, one.left) == (1, 1)
