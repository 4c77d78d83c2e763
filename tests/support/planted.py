"""The HTTP API with two nodes of which everything is kept that the hub keeps of a node: one of ours, one of others."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from hub.alerts.notify_model import Occasion
from hub.alerts.notify_queue import Message
from hub.alerts.notify_records import NotificationBook, Writes
from hub.ledger import Settled
from hub.nodes.callers import Role, Scope
from hub.nodes.model import Birth, Change, Transition
from hub.nodes.views import ViewRow, Views
from hub.rejects import Reject
from hub.rules.book import RuleBook
from hub.rules.events import Severity
from tests.support.alerting import Office
from tests.support.api import bearer, running_api
from tests.support.playedbroker import PlayedLink, final
from wire.errors import Reason
from wire.point import Point, SeriesKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.support.api import Api

OURS, FOREIGN = "boiler-1", "zq-foreign-9"
#: Id of the command, alert, reject, … of each: ours has 1, the foreign one 2.
NODES = (OURS, FOREIGN)
GROUPS = {OURS: "heating", FOREIGN: "vault"}


@contextlib.asynccontextmanager
async def planted(folder: Path) -> AsyncIterator[Api]:
    """Everything twice."""
    async with running_api(folder) as api:
        office = Office(api.parts.registry.database)
        rules = RuleBook(folder / "rules.toml")
        notifications = NotificationBook(api.parts.registry.database)

        async def regroup(_node: str) -> None: ...

        async def replay(_reject: Reject) -> Any:
            raise AssertionError("nothing is replayed here")

        alerting: Any = SimpleNamespace(desk=office.desk, rules=rules, regroup=regroup, forget=lambda _node: None)
        notifier: Any = SimpleNamespace(book=notifications, statuses=lambda: ())
        api.app.state.parts = dataclasses.replace(api.parts, alerting=alerting, notifier=notifier, replay=replay)
        assert api.parts.commanding is not None
        api.parts.commanding.use(PlayedLink())  # type: ignore[arg-type]  # plays it
        work = asyncio.gather(office.clerk.run(), api.parts.commanding.run())
        try:
            for node in NODES:
                await _plant(api, node, office, rules)
            await office.clerk.written()
            await notifications.write(Writes(messages={str(n): _message(n, api) for n in (1, 2)}))
            yield api
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work


async def restricted(api: Api, role: Role = Role.OPERATOR, scope: Scope = Scope.FULL) -> dict[str, str]:
    """Headers of a user who sees our node only."""
    name = f"narrow-{role}"
    await api.parts.registry.users.add(name, None, role, api.clock(), groups=[GROUPS[OURS]])
    return bearer(await api.parts.registry.users.issue(name, scope, api.clock(), None))


def paths(document: dict[str, Any], *, node: str, number: str, run: str = "r") -> Iterator[tuple[str, str, str]]:
    """Method, template and path of every operation, filled in; a parameter nobody thought of fails."""
    fill = {
        "node": node,
        "command": "ping",
        "command_id": f"c{number}",
        "run_id": run,
        "alert_id": number,
        "reject_id": number,
        "number": number,
        "name": node,
    }
    for template, methods in document["paths"].items():
        path = re.sub(r"\{(\w+)\}", lambda found: fill[found[1]], template)
        for method in methods:
            yield method.upper(), template, path


# -- private -----------------------------------------------------------------------------------------------------------


async def _plant(api: Api, node: str, office: Office, rules: RuleBook) -> None:
    parts, now_ns = api.parts, api.clock()
    number = NODES.index(node) + 1
    await parts.registry.declare(node, [GROUPS[node]])
    birth = Birth("s1", "1.0", outbox=False, info={"os": node}, ts_ms=None)
    await parts.registry.record([Transition(node, Change.ONLINE, now_ns, "birth", "s1", birth=birth)], {node: now_ns})
    log: dict[str, Any] = {"message": f"from {node}", "level": "info", "source": "test"}
    await parts.store.write(
        [
            Point(SeriesKey(node, "room", (("of", node),)), now_ns - 10**9, {"temperature": float(number)}),
            Point(SeriesKey(node, "log", ()), now_ns - 10**9, log),
        ]
    )
    topic = f"iot/v1/{node}/telemetry/room"
    await api.rejects.keep([Reject(topic, node.encode(), now_ns, Reason.NOT_JSON, node, node, False, False)])  # noqa: FBT003  retain, partial
    await api.ledger.settle(_settled(now_ns, node))
    for path, body in (
        (f"/api/v1/nodes/{node}/commands/ping", {"id": f"c{number}", "args": {"of": node}}),
        ("/api/v1/commands", {"command": "ping", "nodes": [node]}),
        ("/api/v1/silences", {"node": node, "ends": "+1h", "why": "test"}),
    ):
        answer = await api.http.post(path, json=body)
        assert answer.is_success, answer.text
    assert parts.commanding is not None
    parts.commanding.recorder._unwritten.append(final(node, f"c{number}", at_ns=api.clock(), result={"of": node}))
    await parts.commanding.recorder.flush()
    office.fire(at_s=number, node=node, message=f"{node} is hot")
    rules.put(f"rule-{number}", {"metric": "room.temperature", "above": 30, "nodes": [node]})
    view = ViewRow(0, "admin", "explore", f"view {number}", {"node": [node]}, shared=True, saved_ns=now_ns)
    await Views(parts.registry.database).save(view)


def _settled(now_ns: int, node: str) -> Any:
    one = Counter([node])
    return Settled(
        arrival_ns=now_ns,
        received=one,
        stored=one,
        duplicate=Counter(),
        handled=Counter(),
        refused=Counter(),
        values_refused=Counter(),
        sequences=[],
    )


def _message(number: int, api: Api) -> Message:
    node = NODES[number - 1]
    return Message(
        id=str(number),
        channel="hook",
        route="all",
        occasion=Occasion.FIRING,
        severity=Severity.WARNING,
        title=f"{node} is hot",
        body=node,
        alerts=(number,),
        created_ns=api.clock(),
    )
