"""``/rules`` over a real port: rules are read, changed, tested and checked."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from hub.nodes.callers import Role, Scope
from hub.rules.check import run_test
from tests.support.rulesapi import with_rules
from wire.point import NS_PER_S, Point, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    import pytest

    from hub.rules.book import RuleBook
    from hub.rules.check import Checked, RuleTest
    from hub.rules.files import Entry
    from tests.support.api import Api

HOT = {"metric": "room.temperature", "above": {"warning": 30}, "for": "1m"}


def scenario(folder: Path, body: Callable[[Api, RuleBook], Awaitable[None]]) -> None:
    async def run() -> None:
        async with with_rules(folder) as (api, book):
            await body(api, book)

    asyncio.run(run())


def test_rules_are_listed_with_where_they_come_from(tmp_path: Path) -> None:
    async def body(api: Api, book: RuleBook) -> None:
        book.put("hot", HOT)
        items = [item async for page in api.pages("/api/v1/rules", limit=4) for item in page["items"]]
        assert [item["name"] for item in items] == list(book.entries)
        assert items[0] == {
            "name": "cpu-busy",
            "source": "shipped",
            "enabled": True,
            "asks": "mean of cpu.usage over 1m above 90 / 98 for 5m",
            "rule": dict(book.entries["cpu-busy"].table),
        }
        assert (items[-1]["source"], items[-1]["asks"]) == ("file", "room.temperature above 30 for 1m")

    scenario(tmp_path, body)


def test_a_rule_is_stored_shown_and_removed(tmp_path: Path) -> None:
    async def body(api: Api, book: RuleBook) -> None:
        stored = await api.http.put("/api/v1/rules/hot", json=HOT)
        assert (stored.status_code, stored.json()["rule"]) == (200, HOT)
        assert "[rules.hot]" in book.path.read_text()
        assert (await api.http.get("/api/v1/rules/hot")).json() == stored.json()
        assert (await api.http.delete("/api/v1/rules/hot")).status_code == 204
        gone = await api.http.get("/api/v1/rules/hot")
        assert (gone.status_code, gone.json()["type"]) == (404, "urn:iothub:problem:no-rule")

    scenario(tmp_path, body)


def test_a_wrong_rule_is_refused_with_every_fault(tmp_path: Path) -> None:
    async def body(api: Api, book: RuleBook) -> None:
        wrong = await api.http.put("/api/v1/rules/hot", json={"metric": "room", "above": "x", "fro": 1})
        assert wrong.status_code == 422
        assert [item["where"] for item in wrong.json()["errors"]] == [
            "rules.hot.above",
            "rules.hot.fro",
            "rules.hot.metric",
        ]
        assert "must be a number" in wrong.json()["detail"]
        assert not book.path.exists()

    scenario(tmp_path, body)


def test_a_shipped_rule_is_switched_off_by_a_key_alone_and_not_removed(tmp_path: Path) -> None:
    async def body(api: Api, book: RuleBook) -> None:
        off = await api.http.put("/api/v1/rules/disk-full", json={"enabled": False})
        assert (off.json()["source"], off.json()["enabled"]) == ("changed", False)
        assert (await api.http.delete("/api/v1/rules/disk-full")).status_code == 204
        assert book.entries["disk-full"].rule.enabled
        refused = await api.http.delete("/api/v1/rules/disk-full")
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:iothub:problem:rule-shipped")

    scenario(tmp_path, body)


def test_all_rules_are_replaced_at_once(tmp_path: Path) -> None:
    async def body(api: Api, book: RuleBook) -> None:
        book.put("old", HOT)
        answer = await api.http.put("/api/v1/rules", json={"rules": {"new": HOT}})
        assert "new" in [item["name"] for item in answer.json()["items"]]
        assert {"new"} == {name for name in book.entries if name in {"old", "new"}}

    scenario(tmp_path, body)


def test_readers_read_and_administrators_change(tmp_path: Path) -> None:
    async def body(api: Api, book: RuleBook) -> None:
        reader = await api.token_of(Role.VIEWER, Scope.READ)
        assert (await api.anyone.get("/api/v1/rules")).status_code == 401
        assert (await api.anyone.get("/api/v1/rules", headers=reader)).status_code == 200
        assert (await api.anyone.put("/api/v1/rules/hot", json=HOT, headers=reader)).status_code == 403
        assert "hot" not in book.entries

    scenario(tmp_path, body)


def test_a_rule_is_tested_over_what_is_stored(tmp_path: Path) -> None:
    async def body(api: Api, book: RuleBook) -> None:
        book.put("hot", HOT)
        now_ns = api.clock() // NS_PER_S * NS_PER_S
        key = SeriesKey("n1", "room")
        points = [
            Point(key, now_ns - ago_s * NS_PER_S, {"temperature": 35.0 if 200 <= ago_s <= 500 else 20.0})
            for ago_s in range(0, 1000, 20)
        ]
        await api.parts.store.write(points)
        found = (await api.http.post("/api/v1/rules/test", json={"name": "hot", "start": "-1h"})).json()
        assert (found["fired"], found["firing_s"], found["samples"]) == (1, 260.0, 50)
        assert found["subjects"] == [{"node": "n1", "series": "room.temperature", "fired": 1, "firing_s": 260.0}]
        (interval,) = found["intervals"]
        assert (interval["severity"], interval["value"]) == ("warning", 35.0)
        cooler = {"name": "x", "rule": {**HOT, "above": 40}, "start": "-1h"}
        assert (await api.http.post("/api/v1/rules/test", json=cooler)).json()["fired"] == 0

    scenario(tmp_path, body)


def test_what_has_no_history_cannot_be_tested(tmp_path: Path) -> None:
    async def body(api: Api, _book: RuleBook) -> None:
        answer = await api.http.post("/api/v1/rules/test", json={"name": "node-silent"})
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:iothub:problem:no-history")

    scenario(tmp_path, body)


def test_tests_of_rules_are_run(tmp_path: Path) -> None:
    async def body(api: Api, _book: RuleBook) -> None:
        series = [{"metric": "room.temperature", "every": "1m", "values": "31 31"}]
        one = {"name": "fires", "rule": "hot", "series": series, "expect": [{"kind": "firing", "at": "1m"}]}
        two = {**one, "name": "does not", "expect": []}
        answer = await api.http.post("/api/v1/rules/check", json={"rules": {"hot": HOT}, "tests": [one, two]})
        assert (answer.json()["passed"], answer.json()["failed"]) == (1, 1)
        assert [test["passed"] for test in answer.json()["tests"]] == [True, False]

    scenario(tmp_path, body)


def test_a_file_that_was_edited_by_hand_is_read_again(tmp_path: Path) -> None:
    async def body(api: Api, book: RuleBook) -> None:
        book.path.write_text('[rules.hot]\nmetric = "a.b"\nabove = 1\n')
        assert (await api.http.post("/api/v1/rules/reload")).json()["total"] == len(book.entries)
        assert "hot" in book.entries
        book.path.write_text("[rules.hot]\nmetric = 1\n")
        wrong = await api.http.post("/api/v1/rules/reload")
        assert wrong.status_code == 422
        assert wrong.json()["errors"][0]["where"].endswith("rules.toml:2")
        assert "hot" in book.entries

    scenario(tmp_path, body)


def test_tests_of_rules_run_beside_the_hub_not_in_its_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def noted(test: RuleTest, entries: Mapping[str, Entry]) -> Checked:
        threads.append(threading.current_thread())
        return run_test(test, entries)

    monkeypatch.setattr("hub.api.rules.run_test", noted)

    async def body(api: Api, _book: RuleBook) -> None:
        series = [{"metric": "room.temperature", "values": "20x3"}]
        test = {"name": "calm", "rule": "hot", "series": series, "expect": []}
        answer = await api.http.post("/api/v1/rules/check", json={"rules": {"hot": HOT}, "tests": [test]})
        assert answer.json()["passed"] == 1

    scenario(tmp_path, body)
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()
