"""Logs over HTTP, and what all lists have in common."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import TYPE_CHECKING, Any

from tests.support.api import running_api
from wire.point import LOG_MEASUREMENT, Point, SeriesKey

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import Api

S = 1_000_000_000


async def logged(api: Api, *records: tuple[int, str, str], node: str = "dev") -> int:
    """Store (seconds, level, message); returns the time of second 0, ns."""
    start = time.time_ns() // S * S - 600 * S
    for second, level, message in records:
        key = SeriesKey(node, LOG_MEASUREMENT, (("level", level), ("source", "nginx")))
        await api.parts.store.write([Point(key, start + second * S, {"message": message})])
    return start


async def messages(api: Api, **params: Any) -> list[str]:
    pages = [page async for page in api.pages("/api/v1/logs", **params)]
    return [row["message"] for page in pages for row in page["items"]]


def test_logs_are_newest_first_and_filtered(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            start = await logged(api, (1, "info", "one"), (2, "error", "Two"), (3, "warning", "three"))
            await logged(api, (4, "info", "of another"), node="dev2")
            assert await messages(api) == ["of another", "three", "Two", "one"]
            assert await messages(api, node="dev", level="warning") == ["three", "Two"]
            assert await messages(api, text="two") == ["Two"]
            assert await messages(api, source="nginx", start=start // 10**6 + 2000, stop=start // 10**6 + 3000) == [
                "Two"
            ]
            (row,) = (await api.http.get("/api/v1/logs", params={"text": "Two"})).json()["items"]
            assert (row["node"], row["level"], row["source"]) == ("dev", "error", "nginx")

    asyncio.run(scenario())


def test_log_pages_neither_repeat_nor_lose_records_of_the_same_instant(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await logged(api, *((second // 7, "info", f"m{second:02}") for second in range(20)))
            everything = await messages(api)
            assert len(set(everything)) == 20
            for limit in (1, 2, 3, 7, 19, 20):
                assert await messages(api, limit=limit) == everything, limit

    asyncio.run(scenario())


def test_a_level_that_is_none_is_refused_with_those_that_are(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            answer = await api.http.get("/api/v1/logs", params={"level": "loud"})
            assert answer.status_code == 422
            assert "warning" in answer.json()["detail"]

    asyncio.run(scenario())


def test_a_page_of_another_list_or_none_at_all_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            huge = base64.urlsafe_b64encode(b"[" + b"9" * 40 + b"]").decode()
            for path in ("nodes", "series", "logs", "rejects", "ledger"):
                for page in ("nonsense", "", "é", "bnVsbA", huge, "A" * 5000):
                    answer = await api.http.get(f"/api/v1/{path}", params={"page": page})
                    assert answer.status_code == 422, (path, page)
                    assert answer.json()["errors"][0]["where"] == "query.page"
                for limit in ("0", "-1", "1001", "x"):
                    answer = await api.http.get(f"/api/v1/{path}", params={"limit": limit})
                    assert answer.status_code == 422, (path, limit)

    asyncio.run(scenario())
