"""Rejects over HTTP."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

from hub.rejects import Reject, ReplayOutcome
from tests.support.api import names, running_api
from wire.errors import Reason

if TYPE_CHECKING:
    from pathlib import Path

S = 1_000_000_000
T0 = 1_763_750_000 * S


def reject(second: int = 0, payload: bytes = b"{oh", **changes: Any) -> Reject:
    given: dict[str, Any] = {"topic": "iot/v1/dev/telemetry/room", "reason": Reason.NOT_JSON, "node": "dev"} | changes
    return Reject(
        payload=payload, arrival_ns=T0 + second * S, detail="starts with b'{'", retain=False, partial=False, **given
    )


async def store_good_ones(message: Reject) -> ReplayOutcome:
    return ReplayOutcome() if message.payload == b"good" else ReplayOutcome(Reason.TOO_OLD, "older than 30 d")


def test_rejects_are_paged_newest_first_and_shown_with_their_bytes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await api.rejects.keep([reject(n, b"\xff{" if n == 3 else b"{oh") for n in range(1, 6)])
            rows = [row async for page in api.pages("/api/v1/rejects", limit=2) for row in page["items"]]
            assert names(rows, "id") == [5, 4, 3, 2, 1]
            assert "payload" not in rows[0]
            shown = (await api.http.get("/api/v1/rejects/3")).json()
            assert (shown["text"], base64.b64decode(shown["payload"])) == (None, b"\xff{")
            assert (await api.http.get("/api/v1/rejects/4")).json()["text"] == "{oh"
            assert (await api.http.get("/api/v1/rejects/77")).status_code == 404
            for wrong in ("abc", "-1", str(2**63)):
                assert (await api.http.get(f"/api/v1/rejects/{wrong}")).status_code == 422

    asyncio.run(scenario())


def test_rejects_are_filtered_by_node_reason_topic_state_and_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await api.rejects.keep(
                [
                    reject(1),
                    reject(2, reason=Reason.TOO_OLD),
                    reject(3, node="dev2", topic="other/x"),
                    reject(4, node=None),
                ]
            )
            await api.rejects.drop([2])
            for params, wanted in [
                ({"node": "dev"}, [2, 1]),
                ({"node": "dev*"}, [3, 2, 1]),
                ({"reason": "too-old"}, [2]),
                ({"topic": "other/*"}, [3]),
                ({"state": "kept"}, [4, 3, 1]),
                ({"state": "dropped"}, [2]),
                ({"since": str((T0 + 2 * S) // 10**6), "until": str((T0 + 4 * S) // 10**6)}, [3, 2]),
                ({"since": "2025-11-21T18:33:23Z"}, [4, 3]),
                ({"until": "2025-11-21T18:33:22Z"}, [1]),
            ]:
                answer = await api.http.get("/api/v1/rejects", params=params)
                assert names(answer.json()["items"], "id") == wanted, params
            for params in ({"state": "lost"}, {"reason": "bad-luck"}, {"since": "yesterday"}, {"topics": "x"}):
                answer = await api.http.get("/api/v1/rejects", params=params)
                assert answer.status_code == 422, params
                assert answer.json()["errors"][0]["where"] == f"query.{next(iter(params))}"

    asyncio.run(scenario())


def test_rejects_are_replayed_one_or_many_and_say_what_became_of_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path, replay=store_good_ones) as api:
            await api.rejects.keep([reject(1, b"good"), reject(2), reject(3, b"good")])
            many = await api.http.post("/api/v1/rejects/replay", json={"ids": [2, 3, 9]})
            assert many.json() == {"replayed": [3], "refused": [2], "gone": [9]}
            one = await api.http.post("/api/v1/rejects/1/replay")
            assert one.json() == {"replayed": [1], "refused": [], "gone": []}
            assert (await api.http.post("/api/v1/rejects/9/replay")).status_code == 404
            shown = (await api.http.get("/api/v1/rejects/2")).json()
            assert (shown["state"], shown["reason"], shown["detail"]) == ("kept", "too-old", "older than 30 d")
            assert (await api.http.get("/api/v1/rejects/1")).json()["state"] == "replayed"

    asyncio.run(scenario())


def test_a_dropped_reject_is_still_listed_but_its_bytes_are_gone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await api.rejects.keep([reject(), reject()])
            assert (await api.http.post("/api/v1/rejects/drop", json={"ids": [1, 7]})).json() == {"dropped": 1}
            shown = (await api.http.get("/api/v1/rejects/1")).json()
            assert (shown["state"], shown["payload"], shown["size_bytes"]) == ("dropped", "", 3)
            figures = (await api.http.get("/api/v1/rejects/figures")).json()
            assert (figures["kept"], figures["dropped"], figures["evicted"]) == (1, 1, 0)

    asyncio.run(scenario())


def test_a_body_that_names_no_rejects_or_too_many_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path, replay=store_good_ones) as api:
            for path in ("replay", "drop"):
                bodies: list[Any] = [
                    {},
                    {"ids": []},
                    {"ids": [-1]},
                    {"ids": ["x"]},
                    {"ids": [1] * 1001},
                    {"ids": [2**63]},
                ]
                for body in bodies:
                    answer = await api.http.post(f"/api/v1/rejects/{path}", json=body)
                    assert answer.status_code == 422, body

    asyncio.run(scenario())


def test_without_a_decoder_nothing_is_replayed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await api.rejects.keep([reject()])
            assert (await api.http.post("/api/v1/rejects/1/replay")).status_code == 409

    asyncio.run(scenario())
