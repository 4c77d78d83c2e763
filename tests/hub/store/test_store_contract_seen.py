"""What somebody with access groups reads through ``hub/api/seen.py``, asked of every store: ours, and never more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.api.seen import SeenStore
from hub.store.base import Fn, LogQuery, Query, SeriesFilter, Store, StoreError
from tests.support.stores import EVER_LOGS, NOON, at, line, run
from wire.point import SeriesKey

if TYPE_CHECKING:
    from tests.hub.store.conftest import Opener

#: Nodes asked for (None: all), nodes that may be seen, nodes that are shown.
CASES = [
    (None, {"ours"}, {"ours"}),
    ({"ours"}, {"ours"}, {"ours"}),
    ({"ours", "theirs"}, {"ours"}, {"ours"}),
    ({"theirs"}, {"ours"}, set()),
    (set(), {"ours"}, set()),
    ({""}, {"ours"}, set()),
    (None, set(), set()),
    ({"ours", "theirs"}, set(), set()),
    (None, {"ours", "also", "gone"}, {"ours", "also"}),
    ({"ours", "theirs"}, {"ours", "also"}, {"ours"}),
]


@pytest.mark.parametrize("glob", [None, "*", "*s"])
def test_what_is_asked_for_never_widens_what_is_seen(make: Opener, glob: str | None) -> None:
    async def body(store: Store) -> None:
        for node in ("ours", "theirs", "also"):
            await store.write([at(0, SeriesKey(node, "room"), t=1.0), line(0, f"of {node}", node=node)])
        for asked, may, expected in CASES:
            if glob == "*s":
                expected = expected - {"also"}  # noqa: PLW2901  as the pattern wants it
            seen = SeenStore(store, frozenset(may))
            nodes = None if asked is None else frozenset(asked)
            chosen = SeriesFilter(node=glob, nodes=nodes, measurement="room")
            said = f"{asked} of {may}"
            assert {each.key.node for each in await seen.series(chosen)} == expected, said
            assert {each.series.key.node for each in await seen.last(chosen)} == expected, said
            for every_ns in (None, 10**9):
                frames = await seen.query(Query(chosen, NOON - 10**9, NOON + 10**9, every_ns=every_ns, fn=Fn.MEAN))
                assert {frame.series.key.node for frame in frames if len(frame.ts_ns)} == expected, said
            wanted = LogQuery(0, 2**62, node=glob, nodes=nodes)
            assert {each.node for each in await seen.logs(wanted)} == expected, said

    run(make(), body)


def test_a_view_of_a_store_is_for_reading_alone(make: Opener) -> None:
    async def body(store: Store) -> None:
        seen = SeenStore(store, frozenset({"ours"}))
        with pytest.raises(StoreError):
            await seen.write([at(0, t=1.0)])
        with pytest.raises(StoreError):
            await seen.maintain(NOON)
        with pytest.raises(StoreError):
            await seen.stats()
        with pytest.raises(StoreError):
            await seen.__aenter__()
        assert await store.logs(EVER_LOGS) == []

    run(make(), body)
