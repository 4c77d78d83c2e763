"""Pages of the dashboard drawn without a browser, before a real API that runs in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Element

from dashboard import fetch
from dashboard.identity import COOKIE
from dashboard.names import API_URL
from dashboard.session import client
from hub.ledger import Settled
from hub.nodes.callers import Role, Scope
from hub.rejects import Reject, ReplayOutcome
from hub.rules.book import RuleBook
from hub.rules.events import Severity
from tests.support.alerting import office
from tests.support.api import PASSWORD, running_api
from wire.errors import Reason
from wire.point import LOG_MEASUREMENT, Point, SeriesKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    import pytest

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
"""
#: Draws one page as ``dashboard.main`` does.
_SCRIPT = """
from dashboard.frame import said
from dashboard.views import {view}
with said():
    {view}.page()
"""
_PAGE_S = 20.0


@dataclass(frozen=True)
class Served:
    """The API of the thread."""

    url: str
    #: Token by role.
    tokens: dict[str, str]


@contextlib.contextmanager
def serving(folder: Path, *, empty: bool = False) -> Iterator[Served]:
    """An API in a thread: a host, a room with an alert, a reject, a log record, a ledger; or nothing of these."""
    ready: list[Served] = []
    started, failed = threading.Event(), list[BaseException]()
    loop = asyncio.new_event_loop()
    end = asyncio.Event()

    async def serve() -> None:
        async with _made(folder, empty=empty) as served:
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


@contextlib.contextmanager
def drawing(monkeypatch: pytest.MonkeyPatch, url: str, token: str | None) -> Iterator[None]:
    """Pages ask ``url`` in the name of whom ``token`` belongs to."""
    monkeypatch.setenv(API_URL, url)
    monkeypatch.setattr(ContextProxy, "cookies", property(lambda _: {COOKIE: token} if token else {}))
    st.cache_resource.clear()
    try:
        yield
    finally:
        # Nobody else ends what a process of the dashboard keeps as long as it lives.
        fetch._shared()._pool.shutdown()
        client().close()
        st.cache_resource.clear()


def page(view: str, **params: str) -> AppTest:
    """Page ``view`` of ``dashboard/views``, drawn; ``params`` as in its address."""
    app = AppTest.from_string(_SCRIPT.format(view=view), default_timeout=_PAGE_S)
    for name, value in params.items():
        app.query_params[name] = value
    return app.run()


def words(app: AppTest) -> str:
    """All that the page says in running text, figures and boxes."""
    kinds = ("title", "subheader", "markdown", "caption", "info", "success", "warning", "error", "code")
    said = [str(one.value) for kind in kinds for one in app.get(kind) if isinstance(one, Element)]
    return "\n".join([*said, *(f"{one.label}: {one.value}" for one in app.metric)])


def cells(app: AppTest) -> str:
    """All that stands in tables."""
    return "\n".join(one.value.to_string(max_colwidth=None) for one in app.dataframe)


@contextlib.asynccontextmanager
async def _made(folder: Path, *, empty: bool) -> AsyncIterator[Served]:
    (folder / "desk").mkdir()
    rules = folder / "rules.toml"
    rules.write_text("" if empty else RULES, encoding="utf-8")
    async with running_api(folder, replay=_replayed) as api, office(folder / "desk") as made:
        alerting: Any = SimpleNamespace(desk=made.desk, rules=RuleBook(rules), regroup=_regroup)
        api.app.state.parts = replace(api.parts, alerting=alerting)
        if not empty:
            await _fill(api, made)
        users, tokens = api.parts.registry.users, {"admin": api.token}
        for role in (Role.OPERATOR, Role.VIEWER):
            await users.add(f"a-{role}", PASSWORD, role, api.clock())
            tokens[str(role)] = await users.issue(f"a-{role}", Scope.FULL, api.clock(), None)
        yield Served(api.url, tokens)


async def _fill(api: Api, made: Office) -> None:
    for body in ({"node": "boiler", "groups": ["lab"]}, {"node": "host1", "groups": []}):
        (await api.http.post("/api/v1/nodes", json=body)).raise_for_status()
    now_ns = time.time_ns()
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
    made.fire(message=HOSTILE, severity=Severity.CRITICAL)
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


async def _regroup(_node: str) -> None:
    """Nothing watches here."""


async def _replayed(_message: Reject) -> ReplayOutcome:
    return ReplayOutcome(Reason.NOT_JSON, "still no JSON")
