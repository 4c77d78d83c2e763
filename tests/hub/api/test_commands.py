"""Commands over HTTP: recorded before they are sent, shown as they are, refused to those who may not."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from hub.commands.journal import Head, Row, verified
from hub.nodes.callers import Role, Scope
from tests.support.api import names, running_api
from tests.support.playedbroker import Nodes, PlayedLink, final
from tests.support.waiting import eventually
from wire.messages import NodeState, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.api import Api

PING = "/api/v1/nodes/n1/commands/ping"


class Bench:
    """An API with nodes that are there, a link that only publishes, and what answers."""

    def __init__(self, api: Api) -> None:
        assert api.parts.commanding is not None
        self.api = api
        self.http = api.http
        self.commanding = api.parts.commanding
        self.link = PlayedLink()
        self.commanding.use(self.link)  # type: ignore[arg-type]  # plays it
        self.nodes = Nodes(self.commanding, self.link, api.clock)

    async def born(self, *nodes: str, **info: Any) -> None:
        presence = self.api.parts.presence
        for node in nodes:
            status = Status(NodeState.ONLINE, ts=1, info=info)
            changes = presence.observe_status(node, status, self.api.clock(), retained=False)
            await self.api.parts.registry.record(changes, {})

    async def gone(self, node: str) -> None:
        status = Status(NodeState.OFFLINE, reason="shutdown")
        self.api.parts.presence.observe_status(node, status, self.api.clock(), retained=False)

    async def say(self, node: str, command_id: str, state: str = "done", n: int = 0, **more: Any) -> None:
        self.commanding.recorder._unwritten.append(final(node, command_id, state, n, at_ns=self.api.clock(), **more))
        await self.commanding.recorder.flush()

    async def shown(self, command_id: str) -> dict[str, Any]:
        answer = await self.http.get(f"/api/v1/commands/{command_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@asynccontextmanager
async def bench(folder: Path) -> AsyncIterator[Bench]:
    async with running_api(folder) as api:
        made = Bench(api)
        await made.born("n1")
        task = asyncio.create_task(made.commanding.run())
        try:
            yield made
        finally:
            task.cancel()
            await asyncio.wait({task})


def test_a_command_is_sent_and_followed_to_its_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            answer = await it.http.post(PING, json={"args": {"x": 1}, "timeout_s": 5, "expires_s": 60})
            sent = answer.json()
            assert (answer.status_code, sent["state"], sent["sender"]["user"]) == (202, "sent", "admin")
            node, command, body, expiry_s = it.link.published[0]
            assert (node, command, body.args, body.timeout, body.id) == ("n1", "ping", {"x": 1}, 5, sent["id"])
            assert expiry_s == 60
            await it.say("n1", sent["id"], "accepted")
            await it.say("n1", sent["id"], "output", n=1, stream="stderr", data="hm\n")
            await it.say("n1", sent["id"], "failed", n=2, code=3, result={"error": "no"})
            found = await it.shown(sent["id"])
            assert (found["state"], found["state_by"], found["code"], found["error"]) == ("failed", "node", 3, "no")
            output = (await it.http.get(f"/api/v1/commands/{sent['id']}/output")).json()["items"]
            assert [(each["n"], each["stream"], each["data"]) for each in output] == [(1, "stderr", "hm\n")]
            journal = (await it.http.get(f"/api/v1/commands/{sent['id']}/journal")).json()["items"]
            assert names(journal, "kind") == ["request", "sent", "accepted", "outcome"]

    asyncio.run(scenario())


def test_waiting_gives_the_end_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            asking = asyncio.create_task(it.http.post(PING, params={"wait": 20}, json={}))
            await eventually(lambda: it.link.published)
            await it.nodes.answer()
            answer = await asking
            assert (answer.status_code, answer.json()["state"]) == (200, "done")
            assert (await it.http.post(PING, params={"wait": 0.05}, json={})).status_code == 202

    asyncio.run(scenario())


def test_a_node_that_is_off_never_counts_as_having_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            await it.gone("n1")
            sent = (await it.http.post(PING, json={})).json()
            assert sent["state"] == "waiting"
            assert (await it.shown(sent["id"]))["state"] == "waiting"
            assert (await it.http.get("/api/v1/commands", params={"state": "waiting"})).json()["items"] != []

    asyncio.run(scenario())


def test_what_the_broker_does_not_have_is_sent_when_the_link_is_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            it.link.down = True
            sent = (await it.http.post(PING, json={})).json()
            assert sent["state"] == "sending"
            it.link.down = False
            it.commanding.connected()
            await eventually(lambda: it.link.published)
            assert it.link.published[0][2].id == sent["id"]

    asyncio.run(scenario())


@pytest.mark.parametrize(("info", "times"), [({"commands": [{"name": "ping"}]}, 2), ({}, 1)])
def test_after_a_break_it_is_sent_again_to_nodes_that_remember_ids_and_to_no_others(
    tmp_path: Path, info: dict[str, Any], times: int
) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            await it.born("n2", **info)
            await it.http.post("/api/v1/nodes/n2/commands/ping", json={})
            it.link.down = True
            await it.http.post(PING, json={})
            it.link.down = False
            it.commanding.connected()
            await eventually(lambda: "n1" in it.link.nodes)
            assert it.link.nodes.count("n2") == times

    asyncio.run(scenario())


def test_what_the_broker_refuses_is_said(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            it.link.code = 0x87
            sent = (await it.http.post(PING, json={})).json()
            assert sent["state"] == "unsent"
            assert "does not let the hub" in sent["error"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("path", "body", "status", "kind"),
    [
        ("/api/v1/nodes/nobody/commands/ping", {}, 404, "no-node"),
        (PING, {"id": "a/b"}, 422, None),
        (PING, {"expires_ms": 1}, 422, None),
        (PING, {"expires_ms": 2**52, "expires_s": 1}, 422, None),
        (PING, {"signature": "x"}, 422, None),
        (PING, {"typo": 1}, 422, None),
        ("/api/v1/commands", {"command": "ping", "nodes": ["zz*"]}, 404, "no-node"),
        ("/api/v1/commands", {"command": "ping", "nodes": ["n1"], "stages": ["all", "1"]}, 422, None),
        ("/api/v1/commands/none/cancel", {}, 404, "no-command"),
        ("/api/v1/fleet-runs/none/stop", {}, 404, "no-run"),
    ],
)
def test_wrong_requests_are_refused_and_send_nothing(
    tmp_path: Path, path: str, body: dict[str, Any], status: int, kind: str | None
) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            answer = await it.http.post(path, json=body)
            assert answer.status_code == status, answer.text
            assert answer.json()["type"].endswith(kind or "about:blank")
            assert it.link.published == []

    asyncio.run(scenario())


def test_a_command_that_the_node_does_not_know_is_refused_with_those_it_knows(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            await it.born("n2", commands=[{"name": "ping"}, {"name": "info"}])
            answer = await it.http.post("/api/v1/nodes/n2/commands/pong", json={})
            assert answer.status_code == 422
            assert "info, ping" in answer.json()["detail"]
            assert (await it.http.post("/api/v1/nodes/n2/commands/ping", json={})).status_code == 202

    asyncio.run(scenario())


def test_an_id_is_taken_once_a_node(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            await it.born("n2")
            assert (await it.http.post(PING, json={"id": "x"})).status_code == 202
            assert (await it.http.post(PING, json={"id": "x"})).status_code == 409
            assert (await it.http.post("/api/v1/nodes/n2/commands/ping", json={"id": "x"})).status_code == 202
            assert (await it.http.get("/api/v1/commands/x")).status_code == 409
            assert (await it.http.get("/api/v1/commands/x", params={"node": "n2"})).json()["node"] == "n2"

    asyncio.run(scenario())


def test_a_node_holds_a_bounded_number_of_commands_that_wait(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            codes = [(await it.http.post(PING, json={})).status_code for _ in range(101)]
            assert codes == [202] * 100 + [429]

    asyncio.run(scenario())


def test_only_those_who_may_change_something_command(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            for headers in (await it.api.token_of(Role.VIEWER), await it.api.token_of(Role.ADMIN, Scope.READ)):
                assert (await it.api.anyone.post(PING, json={}, headers=headers)).status_code == 403
                fleet = {"command": "ping", "nodes": ["n1"]}
                assert (await it.api.anyone.post("/api/v1/commands", json=fleet, headers=headers)).status_code == 403
            assert (await it.api.anyone.post(PING, json={})).status_code == 401
            assert it.link.published == []

    asyncio.run(scenario())


def test_cancelling_asks_the_node_and_what_has_ended_cannot_be_cancelled(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            sent = (await it.http.post(PING, json={})).json()
            asking = await it.http.post(f"/api/v1/commands/{sent['id']}/cancel")
            assert (asking.status_code, asking.json()["command"]) == (202, "cancel")
            assert it.link.published[-1][2].args == {"id": sent["id"]}
            await it.nodes.answer()
            assert (await it.http.post(f"/api/v1/commands/{sent['id']}/cancel")).status_code == 409

    asyncio.run(scenario())


def test_the_journal_can_be_checked_by_whoever_reads_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            for _ in range(5):
                await it.http.post(PING, json={})
            await it.nodes.answer()
            rows = [Row(**row) for row in (await it.http.get("/api/v1/audit")).json()["items"]]
            head = Head(**(await it.http.get("/api/v1/audit/head")).json())
            assert (verified(rows, head=head).broken_at, len(rows)) == (None, head.number)
            second = (await it.http.get("/api/v1/audit", params={"after": 3, "limit": 2})).json()["items"]
            assert names(second, "number") == [4, 5]

    asyncio.run(scenario())
