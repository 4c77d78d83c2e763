"""The composition root: builds the parts, runs them in one task group, stops them in order. It alone knows them all.

settings ─▶ registry, store, rejects, ledger, commands ─▶ guard, presence (what they remember) ─▶ intake ─▶ pipeline
                                                                                         link ──▶ ┘   │
HTTP API ◀── all of them ─▶ on_ready(announcement)                                        ▲           ▼
ticker: presence, maintenance                                                             └── PUBACK ─┘

stop ─▶ link reads no more ─▶ pipeline stores and acknowledges what it has ─▶ API ends ─▶ DISCONNECT ─▶ files close
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from hub import broker_watch, denials
from hub.alerting import Alerting
from hub.api.app import create_app
from hub.api.parts import Parts
from hub.api.schemas import Broker
from hub.api.server import serve
from hub.background import HubStatus, collect_garbage, maintain, tick
from hub.broker.accounts import Accounts
from hub.broker.credentials import for_admin, for_hub
from hub.broker.people import People
from hub.clocks import Clocks
from hub.commanding import Commanding
from hub.config import BrokerMode, default_hub_id
from hub.control import Controls
from hub.from_settings import guard_limits, limits, link_options, manages_accounts, registry_url, subscribed, watch_of
from hub.health import chain
from hub.intake import Intake
from hub.lan import Lan
from hub.ledger import Ledger
from hub.link import Filter, Link
from hub.live import Live, node_event
from hub.metrics import Metrics
from hub.nodes.local import dashboard_secret, ensure_local_access
from hub.nodes.presence import Presence
from hub.nodes.registry import Registry
from hub.oidc import Oidc
from hub.outcomes import tell
from hub.paths import StatePaths
from hub.pipeline import Pipeline
from hub.receipts import Receipts
from hub.refused import RefusedLater
from hub.rejects import Rejects
from hub.replay import Replay
from hub.routes import Routes, subscriptions
from hub.runfile import Announcement, Running, remove_run, write_run
from hub.sinks import make_guard, make_sinks, remember_types, remember_types_if_there, spool_gauges
from hub.turned_away import TurnedAway
from wire.point import NS_PER_S
from wire.topics import Topics
from wire.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hub.config import Settings
    from hub.guard import Clash
    from hub.nodes.model import Transition
    from hub.sinks import Sinks

#: A store that cannot be written to holds up the end no longer than this.
_STOP_LIMIT_S: Final = 20.0

_log = structlog.get_logger("hub.service")


async def run_hub(  # noqa: PLR0915  a statement a part
    settings: Settings, *, stop: asyncio.Event, on_ready: Callable[[Announcement], None]
) -> None:
    """Run the hub until ``stop`` is set, then stop it in order.

    Args:
        settings: the whole tree; ``mqtt.port`` is the broker's real one.
        stop: set by whoever wants the hub to end.
        on_ready: called once the API answers; the broker may still be out of reach.

    Raises:
        StoreBroken, RegistryError, StateError, OSError: at start: a person must act, the message says what to do.
        ExceptionGroup: of the same while it runs.
    """
    paths = StatePaths(settings.state.absolute())
    paths.make()
    mqtt = for_hub(settings, paths)
    topics, clock_ns = Topics(mqtt.root), time.time_ns
    async with contextlib.AsyncExitStack() as stack:
        registry = await stack.enter_async_context(Registry(registry_url(settings, paths)))
        rejects = await stack.enter_async_context(
            Rejects(paths.rejects, max_bytes=settings.rejects.max_bytes, max_messages=settings.rejects.max_messages)
        )
        guard = make_guard(guard_limits(settings), settings)
        ledger = await stack.enter_async_context(Ledger(paths.ledger))
        refused_later = RefusedLater(rejects, None if settings.store.also else ledger, topics)
        sinks = make_sinks(settings, paths, on_refused=refused_later, on_reached=partial(remember_types, guard))
        store = await stack.enter_async_context(sinks.store)
        password = await ensure_local_access(registry, paths)
        if settings.broker.mode is BrokerMode.MANAGED:
            # The agent of this machine has its account from the start: it is no stranger.
            await registry.declare(str(settings.agent.get("node") or default_hub_id()))

        live, metrics, presence = Live(), Metrics(), Presence(settings.nodes.silent_after)
        clocks, writing, lan = Clocks(), asyncio.Lock(), Lan(settings, paths, metrics)
        watch = watch_of(settings, paths, mqtt, metrics)
        turned_away = await stack.enter_async_context(TurnedAway(settings, paths, watch.denials))
        known = await registry.everyone()
        presence.restore(known, clock_ns())
        await remember_types_if_there(guard, sinks)
        commanding = await stack.enter_async_context(
            Commanding(settings.commands, paths, topics, live, registry, clock_ns=clock_ns)
        )
        alerting = await stack.enter_async_context(
            Alerting(settings, paths, topics, registry, store, writing, live, presence, clocks, clock_ns=clock_ns)
        )
        controls = Controls(presence, registry, partial(_announce, live, alerting), commanding.recorder)
        intake = Intake(
            Routes(topics, limits(settings), settings.sources, settings.ingest.topic_cache),
            guard,
            controls,
            watch,
            clocks,
            on_clash=lambda topic, clash: _report_clash(metrics, topic, clash),
        )
        said = HubStatus(settings.hub.id, topics)

        connected = [lambda: presence.resume(clock_ns()), said.online.set, commanding.connected, alerting.connected]
        options = link_options(settings, mqtt, said.will())
        link = Link(
            options,
            [Filter(wanted) for wanted in subscriptions(settings.sources, topics)]
            + [Filter(topics.every_status(), snapshot=True)]
            + [Filter(topic, optional=True, anew=True) for topic in broker_watch.TOPICS]
            + [Filter(topic, optional=True) for topic in denials.TOPICS],
            on_connect=lambda: _call(connected),
            subscriptions=subscribed(settings, paths, options),
        )
        commanding.use(link)
        receipts = Receipts(link, topics, ledger, (row.node for row in known if row.outbox))
        connected.append(receipts.repeat)

        pipeline = Pipeline(
            link=link,
            intake=intake,
            store=store,
            rejects=rejects,
            ledger=ledger,
            controls=controls,
            clocks=clocks,
            metrics=metrics,
            writing=writing,
            observers=(alerting.observe,),
            followers=(tell(live), receipts.follow, alerting.follow),
            batch_messages=settings.ingest.batch_messages,
            linger_s=settings.ingest.linger,
        )
        await alerting.open(link, pipeline, commanding.recorder.answered)
        lan.tell = alerting.say_of_hub
        alerting.gauges(metrics)
        _gauges(metrics, link, presence, pipeline, sinks)
        metrics.books(ledger, rejects)
        parts = Parts(
            store=store,
            registry=registry,
            presence=presence,
            live=live,
            settings=settings,
            rejects=rejects,
            ledger=ledger,
            commanding=commanding,
            alerting=alerting,
            notifier=alerting.notifier,
            replay=Replay(intake, store, writing),
            clock_offset_s=clocks.offset_s,
            metrics_text=metrics.text,
            requested=metrics.requested,
            health=lambda: chain(link, pipeline, presence, watch, clock_ns(), spooled=sinks.spooled, more=lan.health()),
            accounts=Accounts(for_admin(settings, paths)) if manages_accounts(settings, paths) else None,
            certificates=lan.certificates,
            denials=lambda: watch.denials.newest,
            dashboard_secret=dashboard_secret(paths),
            oidc=Oidc(settings.api.oidc) if settings.api.oidc.enabled else None,
            people=People(for_admin(settings, paths)) if manages_accounts(settings, paths) else None,
            broker=Broker(host=mqtt.host, port=mqtt.port, tls=mqtt.tls, root=mqtt.root),
        )
        server = await stack.enter_async_context(serve(create_app(parts), settings.api.host, settings.api.port))
        await stack.enter_async_context(lan.serving(parts))
        running = Running(
            pid=os.getpid(),
            api_url=server.url,
            broker_host=mqtt.host,
            broker_port=mqtt.port,
            state=str(paths.root),
            hub=settings.hub.id,
            version=__version__,
        )
        write_run(paths.run, running)
        stack.callback(remove_run, paths.run, running.pid)
        stack.callback(live.close)
        async with asyncio.TaskGroup() as tasks:
            work = tasks.create_task(pipeline.run(), name="pipeline")
            others = [
                tasks.create_task(link.run(), name="link"),
                tasks.create_task(said.keep_said(link), name="hub status"),
                tasks.create_task(receipts.run(), name="receipts"),
                tasks.create_task(commanding.run(), name="commands"),
                tasks.create_task(alerting.run(), name="alerts"),
                tasks.create_task(collect_garbage(), name="garbage"),
                tasks.create_task(lan.run(), name="certificates"),
                tasks.create_task(turned_away.run(), name="denials"),
                tasks.create_task(tick(controls, link, pipeline.clock_moved), name="ticker"),
                tasks.create_task(maintain(store, registry, ledger, settings.store.maintain_every), name="maintenance"),
            ]
            on_ready(Announcement(running, password))
            await stop.wait()
            _log.info("stopping: storing what has arrived")
            pipeline.stop()
            await _last_group(work, pipeline)
            await said.say_offline(link)
            for task in others:
                task.cancel()
        await controls.tick(clock_ns(), connected=False)


async def _last_group(work: asyncio.Task[None], pipeline: Pipeline) -> None:
    done, _ = await asyncio.wait({work}, timeout=_STOP_LIMIT_S)
    if not done:
        _log.warning("what arrived last cannot be stored; it stays with the broker", why=pipeline.trouble)
        work.cancel()


# -- what the parts say to each other ----------------------------------------------------------------------------------


def _call(each: Sequence[Callable[[], None]]) -> None:
    for told in each:
        told()


def _announce(live: Live, alerting: Alerting, transitions: Sequence[Transition]) -> None:
    alerting.transitions(transitions)
    for transition in transitions:
        _log.info("node", node=transition.node, change=transition.change, reason=transition.reason)
        live.publish(node_event(transition))


def _report_clash(metrics: Metrics, topic: str, clash: Clash) -> None:
    metrics.type_clashes.inc()
    _log.warning(
        "a series met a value of another type",
        topic=topic,
        node=clash.key.node,
        field=clash.field,
        is_a=clash.kept_as,
        came=clash.came_as,
        sample=clash.sample,
        stored_in=clash.stored_in,
    )


def _gauges(metrics: Metrics, link: Link, presence: Presence, pipeline: Pipeline, sinks: Sinks) -> None:
    spool_gauges(metrics, sinks)
    metrics.gauge("iothub_link_up", "1 while the hub is connected to the broker", link.connected.is_set)
    metrics.gauge("iothub_link_subscribed", "1 while its subscriptions are confirmed", lambda: float(link.subscribed))
    metrics.gauge("iothub_link_connects", "Connections made so far", lambda: link.connects)
    metrics.gauge("iothub_in_flight_messages", "Messages read and not acknowledged", lambda: link.in_flight_messages)
    metrics.gauge("iothub_nodes", "Known nodes", lambda: sum(presence.counts().values()))
    metrics.gauge_of_each("iothub_nodes_by_state", "Known nodes by state", "state", presence.counters())
    metrics.gauge(
        "iothub_last_stored_timestamp_seconds", "When data was last stored", lambda: pipeline.data_ns / NS_PER_S
    )
