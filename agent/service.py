"""Wires the agent. The only file that knows all its parts.

 collectors ─▶ Scheduler ─samples─▶ Reporter ─numbered─▶ Outbox ─▶ Delivery ─▶ NodeSession ─▶ broker
                  ▲                    ▲                    ▲                    │  │
                  │                    └─ log records       └── receipts ◀───────┘  │
                  └─ COMMANDS ◀─ Executor ◀─ Admission ◀────── commands ◀───────────┘
                                   │ └─ replies ─▶ NodeSession
                                   └──▶ Memory: what ran, on disk

Start: the session connects by itself, collectors run at once, messages wait in the outbox.
Stop:  no more samples and commands, then what is due is sent, then the announced end; the outbox keeps the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any, Final

from agent.admission import Admission
from agent.catalogue import catalogue
from agent.collectors import COLLECTORS
from agent.commands import COMMANDS, Host
from agent.commands.shell import as_root
from agent.executor import Executor
from agent.history import History
from agent.inventory import Inventory
from agent.operators import check_for
from agent.remembered import Memory
from agent.reporter import Reporter, now_ms
from agent.scheduler import Scheduler
from wire.delivery import Delivery
from wire.messages import NodeState, Status
from wire.outbox import DiskOutbox
from wire.outgoing import MemoryOutbox
from wire.session import NodeSession, SessionOptions
from wire.topics import Topics
from wire.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from agent.collectors import Figures
    from agent.collectors.base import Collector
    from agent.config import AgentSettings, Settings
    from wire.messages import Receipt
    from wire.outgoing import Outbox
    from wire.point import Value

_LOG: Final = logging.getLogger(__name__)
#: For sending what waits when the agent stops.
_DRAIN_S: Final = 3.0


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run the agent until ``stop`` is set.

    Raises:
        OutboxError: the outbox cannot be used; the text says what to do.
        SettingsError: the keys of the operators cannot be used.
    """
    agent = settings.agent
    kept = Memory(agent.state / "commands.db", keep_s=agent.commands.remember, clock_ms=now_ms)
    async with _outbox(agent) as outbox, kept as memory:
        await _run(settings, outbox, memory, stop)


async def _run(settings: Settings, outbox: Outbox, memory: Memory, stop: asyncio.Event) -> None:
    agent, topics = settings.agent, Topics(settings.mqtt.root)
    reporter = Reporter(outbox, topics, agent.node)
    history = History(outbox, clock_ms=now_ms)
    inventory = Inventory(agent.ignored_interfaces)
    check = check_for(agent.commands.operators, agent.node, keep_s=agent.commands.remember)
    taken = catalogue(COMMANDS, agent.commands)
    if rooted := as_root(agent.commands):
        _LOG.warning("agent.commands.shell: %s would run as root; say `user` for each", ", ".join(rooted))

    def info() -> dict[str, Any]:
        return {**inventory.read(), "commands": taken}

    def birth() -> Status:
        return Status(
            NodeState.ONLINE,
            ts=now_ms(),
            session=outbox.session,
            version=__version__,
            outbox=outbox.durable,
            info=info(),
        )

    def figures() -> dict[str, Value]:
        return {
            **history.figures(),
            "dropped_messages": outbox.dropped,
            "refused_messages": delivery.refused,
            "skipped_runs": reporter.skipped,
            "failing_collectors": len(scheduler.failing),
            "connections": session.connections,
        }

    def delivered() -> None:
        if not outbox.durable:
            reporter.tell_dropped()

    def confirmed(receipt: Receipt, retained: bool) -> None:  # noqa: FBT001  a callback of NodeSession
        outbox.covered(receipt, retained=retained)
        # A hub that confirms is there to be told. Not sooner: with a broker that takes everything and no hub, each word
        # about what was dropped would push out more.
        if outbox.durable and not retained:
            reporter.tell_dropped()

    collectors = _collectors(agent, figures)
    scheduler = Scheduler(collectors, reporter, _intervals_s(agent))
    session = NodeSession(SessionOptions(mqtt=settings.mqtt, node=agent.node), birth, confirmed)
    delivery = Delivery(session, outbox, on_delivered=delivered)
    host = Host(scheduler=scheduler, settings=agent.commands, info=info, started_s=time.monotonic())
    admission = Admission(COMMANDS, agent.commands, check, now_ms)
    executor = Executor(session, topics, reporter, host, admission=admission, memory=memory)
    async with session:
        async with asyncio.TaskGroup() as tasks:
            sending = _start(tasks, "delivery", delivery.run())
            intake = [_start(tasks, "scheduler", scheduler.run()), _start(tasks, "commands", executor.run())]
            await stop.wait()
            await _cancel(*intake)
            await _cancel(sending)
        await delivery.drain(_DRAIN_S)


@contextlib.asynccontextmanager
async def _outbox(agent: AgentSettings) -> AsyncIterator[Outbox]:
    wanted = agent.outbox
    if wanted.kind == "memory":
        yield MemoryOutbox(wanted.memory_bytes)
        return
    path = agent.state / "outbox.db"
    async with DiskOutbox(path, max_bytes=wanted.max_bytes, when_full=wanted.when_full, sync=wanted.sync) as outbox:
        yield outbox


def _collectors(agent: AgentSettings, figures: Figures) -> list[Collector]:
    return [make(agent, figures) for name, make in COLLECTORS.items() if agent.collectors.of(name).enabled]


def _intervals_s(agent: AgentSettings) -> dict[str, float]:
    return {name: interval for name in COLLECTORS if (interval := agent.collectors.of(name).interval) is not None}


def _start(tasks: asyncio.TaskGroup, name: str, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    return tasks.create_task(work, name=name)


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
