"""A real API in a thread of its own, with something in it for every page of the dashboard."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from hub.broker.lan import certificates_of
from hub.config import Settings
from hub.ledger import Settled
from hub.nodes.callers import Role, Scope
from hub.nodes.model import Birth, Change, Transition
from hub.paths import StatePaths
from hub.rejects import Reject, ReplayOutcome
from hub.rules.book import RuleBook
from hub.rules.events import Severity
from tests.support.alerting import T0, office
from tests.support.api import PASSWORD, running_api
from tests.support.opened import lan_settings
from tests.support.playedbroker import PlayedLink, final
from wire.errors import Reason
from wire.point import LOG_MEASUREMENT, Point, SeriesKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.support.alerting import Office
    from tests.support.api import Api

#: What others may write into names, log lines and messages.
HOSTILE = "<script>alert(1)</script> **bold** [link](javascript:alert(1)) :red[x] $x^2$"
S = 1_000_000_000
RULES = """
[rules.hot]
metric = "room.temperature"
above = 30
clear = 28

[rules.hot-or-hotter]
metric = "room.temperature"
above = { warning = 30, critical = 40 }

[rules.cold]
metric = "room.temperature"
below = 25

[rules.odd]
metric = "room.temperature"
outside = [40, 60]
"""
#: What host1 says it takes.
COMMANDS = [
    {"name": "ping", "allowed": True, "help": "answer at once"},
    {
        "name": "work",
        "allowed": True,
        "help": "does what it is told",
        "args": {
            "required": ["path"],
            "properties": {
                "path": {"type": "string"},
                "level": {"enum": ["low", "high"], "default": "low"},
                "size": {"enum": [1, 2]},
                "names": {"type": "array", "items": {"type": "string"}, "default": ["a"]},
                "lines": {"type": "integer", "minimum": 0, "maximum": 2**53, "default": 10},
                "share": {"type": "number"},
                "all": {"type": "boolean", "default": True},
                "counts": {"type": "array", "items": {"type": "integer"}, "default": [1]},
            },
        },
    },
    {"name": "reboot", "allowed": False},
]


@dataclass(frozen=True)
class Served:
    """The API of the thread."""

    url: str
    #: Token by role.
    tokens: dict[str, str]
    #: What the hub sent to nodes; they answer at once.
    link: PlayedLink


@contextlib.contextmanager
def serving(folder: Path, *, empty: bool = False, joins: bool = False) -> Iterator[Served]:
    """An API in a thread: a host, a room with an alert, a reject, a log record, a ledger; or nothing of these.

    With ``joins`` machines may join: it has certificates.
    """
    ready: list[Served] = []
    started, failed = threading.Event(), list[BaseException]()
    loop = asyncio.new_event_loop()
    end = asyncio.Event()

    async def serve() -> None:
        async with _made(folder, empty=empty, joins=joins) as served:
            ready.append(served)
            started.set()
            await end.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:  # noqa: BLE001  told to the test below
            failed.append(error)
        finally:
            started.set()
            loop.close()

    thread = threading.Thread(target=run, name="api")
    thread.start()
    try:
        assert started.wait(60), "the API did not start"
        assert ready, failed
        yield ready[0]
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(end.set)
        thread.join(60)
    assert not failed, failed


@contextlib.asynccontextmanager
async def _made(folder: Path, *, empty: bool, joins: bool) -> AsyncIterator[Served]:
    lan: dict[str, Any] = {}
    if joins:
        settings = Settings.model_validate({"broker": {"lan": lan_settings()}})
        paths = StatePaths(folder / "var")
        paths.make()
        certificates = certificates_of(settings, paths)
        certificates.make("test-hub", ["localhost"])
        lan = {"settings": settings, "certificates": certificates}
    (folder / "desk").mkdir()
    rules = folder / "rules.toml"
    rules.write_text("" if empty else RULES, encoding="utf-8")
    async with running_api(folder, replay=_replayed, **lan) as api, office(folder / "desk") as made:
        alerting: Any = SimpleNamespace(desk=made.desk, rules=RuleBook(rules), regroup=_regroup)
        api.app.state.parts = replace(api.parts, alerting=alerting)
        if not empty:
            await _fill(api, made)
        link = _Answered(api)
        assert api.parts.commanding is not None
        api.parts.commanding.use(link)  # type: ignore[arg-type]  # plays it
        sending = asyncio.create_task(api.parts.commanding.run())
        users, tokens = api.parts.registry.users, {"admin": api.token}
        for role in (Role.OPERATOR, Role.VIEWER):
            await users.add(f"a-{role}", PASSWORD, role, api.clock())
            tokens[str(role)] = await users.issue(f"a-{role}", Scope.FULL, api.clock(), None)
        elsewhere = api.parts.registry.oidc_users
        await elsewhere.admit("https://id.example", "s1", "olga", Role.VIEWER, api.clock(), groups=["lab"])
        try:
            yield Served(api.url, tokens, link)
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending


async def _fill(api: Api, made: Office) -> None:
    for body in ({"node": "boiler", "groups": ["lab"]}, {"node": "host1", "groups": []}):
        (await api.http.post("/api/v1/nodes", json=body)).raise_for_status()
    now_ns = time.time_ns()
    birth = Birth("s1", "1.0", outbox=False, info={"os": "Linux", "commands": COMMANDS}, ts_ms=None)
    connected = [
        Transition("host1", Change.ONLINE, now_ns - 3600 * S, "birth", "s0", birth=birth),
        Transition(
            "host1",
            Change.OFFLINE,
            now_ns - 1800 * S,
            "will",
            "s0",
            connected_ns=now_ns - 3600 * S,
            ended_ns=now_ns - 1800 * S,
        ),
        Transition("host1", Change.ONLINE, now_ns - 60 * S, "birth", "s1", birth=birth),
    ]
    await api.parts.registry.record(connected, {"host1": now_ns - S})
    moments = [now_ns - second * 10 * S for second in range(1, 61)]
    room, cpu = SeriesKey("boiler", "room"), SeriesKey("host1", "cpu")
    log = SeriesKey("host1", LOG_MEASUREMENT, (("level", "error"), ("source", "kernel")))
    await api.parts.store.write(
        [
            *(Point(room, at_ns, {"temperature": 20.0 + number}) for number, at_ns in enumerate(moments)),
            *(Point(cpu, at_ns, {"usage": float(number)}) for number, at_ns in enumerate(moments)),
            Point(log, now_ns - S, {"message": HOSTILE}),
        ]
    )
    made.now_ns = now_ns
    made.fire(at_s=(now_ns - T0) // S - 60, message=HOSTILE, severity=Severity.CRITICAL)
    await made.clerk.written()
    await api.rejects.keep(
        [
            Reject(
                topic="iot/v1/boiler/telemetry/room",
                payload=HOSTILE.encode(),
                arrival_ns=now_ns,
                reason=Reason.NOT_JSON,
                node="boiler",
                detail=HOSTILE,
                retain=False,
                partial=False,
            )
        ]
    )
    one = Counter(["boiler"])
    await api.ledger.settle(
        Settled(
            arrival_ns=now_ns,
            received=Counter({"boiler": 3}),
            stored=one,
            duplicate=Counter(),
            handled=one,
            refused=Counter({("boiler", Reason.NOT_JSON): 1}),
            values_refused=Counter(),
            sequences=[],
        )
    )


class _Answered(PlayedLink):
    """A link whose nodes do what they are told, and say so."""

    def __init__(self, api: Api) -> None:
        super().__init__()
        assert api.parts.commanding is not None
        self._recorder = api.parts.commanding.recorder
        self._clock_ns = api.clock

    async def publish(self, topic: str, payload: bytes, **more: Any) -> int:
        code = await super().publish(topic, payload, **more)
        node, _, body, _ = self.published[-1]
        said = {"stream": "stdout", "data": f"{HOSTILE} of {node}"}
        self._recorder._unwritten += [
            final(node, body.id or "", "output", n=0, at_ns=self._clock_ns(), **said),
            final(node, body.id or "", "done", n=1, at_ns=self._clock_ns(), code=0, result={"of": node}),
        ]
        await self._recorder.flush()
        return code


async def _regroup(_node: str) -> None:
    """Nothing watches here."""


async def _replayed(_message: Reject) -> ReplayOutcome:
    return ReplayOutcome(Reason.NOT_JSON, "still no JSON")
