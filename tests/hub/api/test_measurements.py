from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tests.support.api import running_api
from wire.point import Point, SeriesKey

if TYPE_CHECKING:
    from pathlib import Path


def test_measurements_are_summed_over_nodes_with_their_fields_and_tags(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            now_ns = time.time_ns()
            await api.parts.store.write(
                [
                    Point(SeriesKey("a", "disk", (("mount", "/"),)), now_ns, {"used": 1.0, "kind": "ext4"}),
                    Point(SeriesKey("b", "disk", (("mount", "/home"),)), now_ns, {"used": 1.0}),
                    Point(SeriesKey("b", "cpu"), now_ns, {"usage": 1.0}),
                ]
            )
            found = (await api.http.get("/api/v1/measurements")).json()["items"]
            assert [one["measurement"] for one in found] == ["cpu", "disk"]
            disk = found[1]
            assert disk["fields"] == [{"field": "kind", "kind": "text"}, {"field": "used", "kind": "number"}]
            assert disk["tags"] == [{"tag": "mount", "values": ["/", "/home"], "total": 2}]
            assert (disk["nodes"], disk["series"]) == (2, 3)
            of_a = (await api.http.get("/api/v1/measurements", params={"node": "a"})).json()["items"]
            assert [one["measurement"] for one in of_a] == ["disk"]

    asyncio.run(scenario())
