"""Channels, test messages and the history of notifications over HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hub.nodes.callers import Role
from tests.support.api import running_api
from tests.support.notifyapi import telling
from tests.support.notifying import change_to, firing, http_endpoint
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path


def test_channels_are_listed_without_their_addresses(tmp_path: Path) -> None:
    async def work() -> None:
        with http_endpoint() as hook:
            async with telling(tmp_path, hook) as (api, _):
                answer = await api.http.get("/api/v1/notify/channels")
                (channel,) = answer.json()["items"]
                assert (channel["name"], channel["sent"], channel["failing_since"]) == ("hook", 0, None)
                assert channel["service"] == f"JSON via 127.0.0.1:{hook.port}"
                assert "secret" not in answer.text

    asyncio.run(work())


def test_a_test_message_says_what_came_back(tmp_path: Path) -> None:
    async def work() -> None:
        with http_endpoint() as hook:
            async with telling(tmp_path, hook) as (api, _):
                path = "/api/v1/notify/channels/hook/test"
                good = (await api.http.post(path)).json()
                assert good["ok"]
                assert hook.received[0]["message"].endswith(f"Notification {good['notification']}")
                hook.status = 403
                bad = (await api.http.post(path)).json()
                assert not bad["ok"]
                assert "403" in bad["error"]
                missing = await api.http.post("/api/v1/notify/channels/nobody/test")
                assert missing.status_code == 404
                assert missing.json()["detail"] == "There is no channel 'nobody'; there are: hook."

    asyncio.run(work())


def test_only_administrators_send_test_messages(tmp_path: Path) -> None:
    async def work() -> None:
        with http_endpoint() as hook:
            async with telling(tmp_path, hook) as (api, _):
                viewer = await api.token_of(Role.VIEWER)
                answer = await api.anyone.post("/api/v1/notify/channels/hook/test", headers=viewer)
                assert answer.status_code == 403
                assert hook.tries == 0

    asyncio.run(work())


def test_the_history_is_paged_and_filtered_by_alert(tmp_path: Path) -> None:
    async def work() -> None:
        with http_endpoint() as hook:
            async with telling(tmp_path, hook) as (api, notifier):
                for number in (1, 2, 3):
                    notifier.changed(change_to(firing(number, rule=f"rule-{number}")))
                    await eventually(lambda n=number: notifier.statuses()[0].sent == n)  # type: ignore[misc]
                found = [item async for page in api.pages("/api/v1/notifications", limit=1) for item in page["items"]]
                assert [item["alerts"] for item in found] == [[3], [2], [1]]
                only = (await api.http.get("/api/v1/notifications", params={"alert": 2})).json()["items"]
                assert [item["title"] for item in only] == ["[WARNING] boiler-1: rule-2"]
                none = (await api.http.get("/api/v1/notifications", params={"outcome": "failed"})).json()["items"]
                assert none == []

    asyncio.run(work())


def test_a_hub_without_alerts_says_so(tmp_path: Path) -> None:
    async def work() -> None:
        async with running_api(tmp_path) as api:
            answer = await api.http.get("/api/v1/notify/channels")
            assert answer.status_code == 503
            assert "alerts do not run" in answer.json()["detail"]

    asyncio.run(work())
