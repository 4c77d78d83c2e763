"""Wires the agent. The only file that knows all its parts.

 collectors ─▶ Scheduler ─samples─▶ Reporter ─numbered─▶ Outbox ─▶ Delivery ─▶ NodeSession ─▶ broker
                  ▲                    ▲                    ▲                    │  │
                  │                    └─ log records       └── receipts ◀───────┘  │
                  └──── COMMANDS ◀──── Executor ◀───────────── commands ◀───────────┘
                                          └─ replies ─▶ NodeSession

Start: the session connects by itself, collectors run at once, messages wait in the outbox.
Stop:  no more samples and commands, then what waits is sent, then the announced end.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from agent.collectors import COLLECTORS
from agent.commands import Host
from agent.executor import Executor
from agent.inventory import Inventory
from agent.reporter import Reporter, now_ms
from agent.scheduler import Scheduler
from wire.delivery import Delivery
from wire.messages import NodeState, Status
from wire.outgoing import MemoryOutbox
from wire.session import NodeSession, SessionOptions
from wire.topics import Topics
from wire.version import __version__

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from agent.collectors import Figures
    from agent.collectors.base import Collector
    from agent.config import AgentSettings, Settings
    from wire.point import Value

#: For sending what waits when the agent stops.
_DRAIN_S: Final = 3.0


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run the agent until ``stop`` is set."""
    agent, topics = settings.agent, Topics(settings.mqtt.root)
    outbox = MemoryOutbox(agent.queue_messages, agent.queue_bytes)
    reporter = Reporter(outbox, topics, agent.node)
    inventory = Inventory(agent.ignored_interfaces)

    def birth() -> Status:
        return Status(
            NodeState.ONLINE,
            ts=now_ms(),
            session=outbox.session,
            version=__version__,
            outbox=outbox.durable,
            info=inventory.read(),
        )

    def figures() -> dict[str, Value]:
        return {
            "queued_messages": outbox.waiting,
            "dropped_messages": outbox.dropped,
            "refused_messages": delivery.refused,
            "failing_collectors": len(scheduler.failing),
            "connections": session.connections,
        }

    collectors = _collectors(agent, figures)
    scheduler = Scheduler(collectors, reporter, _intervals_s(agent))
    session = NodeSession(SessionOptions(mqtt=settings.mqtt, node=agent.node), birth, outbox.covered)
    delivery = Delivery(session, outbox, on_delivered=reporter.tell_dropped)
    executor = Executor(session, topics, reporter, Host(scheduler, time.monotonic()))
    async with session:
        async with asyncio.TaskGroup() as tasks:
            sending = _start(tasks, "delivery", delivery.run())
            intake = [_start(tasks, "scheduler", scheduler.run()), _start(tasks, "commands", executor.run())]
            await stop.wait()
            await _cancel(*intake)
            await _cancel(sending)
        await delivery.drain(_DRAIN_S)


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
