"""Runs commands and answers them: ``accepted``, any ``output``, exactly one final state.

commands() ─▶ Admission ─▶ room? ─▶ Memory: new? ─▶ accepted ─▶ handler, time limit, cancel ─▶ final ─▶ Memory
                  │          │            │                          │ output                    │
                  └──────────┴────────────┴───── refused, expired ───┴──────── Replies ◀─────────┘

What an earlier run of the agent left without its final reply gets it at the start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final

from agent.admission import Turned
from agent.commands.base import FailedError, RefusedError, Request
from agent.remembered import Entry, MemoryDown, Unfinished
from agent.replies import Replies, Way, publish_reply
from wire.messages import Reply, ReplyState, encode

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from agent.admission import Admission, Order
    from agent.commands.base import Answer, Host
    from agent.remembered import Memory
    from agent.reporter import Reporter
    from wire.session import NodeSession, ReceivedCommand
    from wire.topics import Topics

_LOG: Final = logging.getLogger(__name__)
#: For the last word to those whose commands a stop interrupts; what is not said then is said at the next start.
_GOODBYE_S: Final = 1.0
_RUNNING: Final = "running"

_Final = tuple[ReplyState, dict[str, Any], int | None]


class Executor:
    """Takes commands from the session and runs each in a task of its own."""

    def __init__(
        self,
        session: NodeSession,
        topics: Topics,
        reporter: Reporter,
        host: Host,
        *,
        admission: Admission,
        memory: Memory,
    ) -> None:
        self._session = session
        self._topics = topics
        self._reporter = reporter
        self._host = host
        self._admission = admission
        self._memory = memory
        self._busy = 0

    async def run(self) -> None:
        """Run commands for ever; those that run when this is cancelled are answered as failed."""
        async with asyncio.TaskGroup() as tasks:
            try:
                left = await self._memory.unfinished()
            except MemoryDown as error:
                _LOG.error("%s; commands that an earlier run left stay without their last reply", error)
                left = []
            for each in left:
                tasks.create_task(self._conclude(each), name=f"command {each.entry.name} of before")
            self._session.on_overflow = lambda received: self._overflow(tasks, received)
            async for received in self._session.commands():
                tasks.create_task(self._answer(received), name=f"command {received.name}")

    async def _answer(self, received: ReceivedCommand) -> None:
        try:
            await self._judge(received)
        except Exception:  # noqa: BLE001  supervisor: one that meets a bug ends neither the others nor the agent
            _LOG.exception("command %s could not be answered", received.name)

    async def _judge(self, received: ReceivedCommand) -> None:
        way = Way(self._topics, self._session.options.node, received)
        try:
            order = self._admission.admit(received)
            self._check_room(order)
        except Turned as turned:
            await self._turn_away(received, way, turned)
            return
        self._busy += not order.command.always
        try:
            await self._run(received, way, order)
        finally:
            self._busy -= not order.command.always

    def _overflow(self, tasks: asyncio.TaskGroup, received: ReceivedCommand) -> None:
        way = Way(self._topics, self._session.options.node, received)
        why = Turned("too many commands came at once; try again")
        tasks.create_task(self._turn_away(received, way, why), name=f"command {received.name} too many")

    def _check_room(self, order: Order) -> None:
        most = self._host.settings.at_once
        if self._busy >= most and not order.command.always:
            raise Turned(f"{most} commands are running; try again when one is done")

    async def _run(self, received: ReceivedCommand, way: Way, order: Order) -> None:
        entry = self._entry(way, order)
        try:
            before = await self._remember(entry, order)
        except Turned as turned:
            await self._turn_away(received, way, turned)
            return
        if before == _RUNNING:
            # Its stream goes on: another final reply in it would be false. QoS 1 may well deliver a command twice.
            _LOG.info("command %s with id %r came again while it runs, and is ignored", received.name, entry.key)
            return
        if before is not None:
            await self._turn_away(received, way, Turned(f"a command with this id {before}"), duplicate=True)
            return
        replies = Replies(self._session, way, lambda n: self._note(self._memory.reserve(entry.key, n)))
        replies.accepted()
        delivering = asyncio.create_task(replies.deliver(), name=f"replies {way.id}")
        try:
            state, result, code = await self._execute(entry.key, order, replies)
            await self._note(self._memory.finish(entry.key, replies.finish(state, result, code)))
            await delivering
            await self._note(self._memory.delivered(entry.key))
        except asyncio.CancelledError:
            if not replies.finished:
                gone = {"error": "the agent stopped before the command was done"}
                await self._note(self._memory.finish(entry.key, replies.finish(ReplyState.FAILED, gone)))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    await asyncio.shield(delivering)
                    await self._note(self._memory.delivered(entry.key))
            raise
        finally:
            delivering.cancel()

    async def _execute(self, key: str, order: Order, replies: Replies) -> _Final:
        """Run the handler; the final state, its result and exit code."""
        request = Request(key, replies.output)
        work: asyncio.Task[Answer] = asyncio.create_task(
            order.command.run(self._host, request, order.args), name=f"run {key}"
        )
        ends: list[_Final] = []

        def stop(state: ReplyState, **told: object) -> None:
            ends.append((state, told, None))
            replies.hurry()
            work.cancel()

        timer = asyncio.get_running_loop().call_later(
            order.limit_s, lambda: stop(ReplyState.TIMEOUT, error=f"not done within {order.limit_s:g} s")
        )
        try:
            with self._host.running.holding(
                key, lambda: stop(ReplyState.FAILED, error="cancelled by command", cancelled=True)
            ):
                state, result, code = await _outcome(work, order.command.name)
        except asyncio.CancelledError:
            if not ends or _is_cancelled():
                work.cancel()
                raise
            state, result, code = ends[0]
        finally:
            timer.cancel()
        return state, {**result, **request.facts}, code

    async def _turn_away(self, received: ReceivedCommand, way: Way, turned: Turned, *, duplicate: bool = False) -> None:
        if not way.addressed:  # nobody could find the answer
            text = f"command {received.name}: {turned.state}: {turned}"
            self._reporter.log("warning", text, command=received.name)
            return
        result: dict[str, Any] = {"error": str(turned), **({"duplicate": True} if duplicate else {})}
        only = encode(Reply(id=way.id, n=0, state=turned.state, result=result))
        await publish_reply(self._session, way.topic, only, way.correlation_data)

    async def _remember(self, entry: Entry, order: Order) -> str | None:
        """Why it must not run: ``running`` or a text; None when it may."""
        try:
            return await self._memory.remember(entry)
        except MemoryDown as error:
            if order.command.changes or order.operator is not None:
                raise Turned(f"nothing that changes this host is run while it could run twice: {error}") from error
            _LOG.error("%s; %s runs all the same, since it changes nothing", error, entry.name)
            return None

    def _entry(self, way: Way, order: Order) -> Entry:
        asked = order.asked
        return Entry(
            key=asked.id if asked.id is not None else way.key,
            named=asked.id is not None or way.named,
            name=order.command.name,
            accepted_ms=self._reporter.clock_ms(),
            expires_ms=asked.expires,
            nonce=order.nonce,
            reply_id=way.id,
            topic=way.topic,
            correlation=way.correlation_data,
        )

    async def _conclude(self, left: Unfinished) -> None:
        """Send the last reply of a command that an earlier run of the agent accepted."""
        entry, final = left.entry, left.final
        if final is None:
            result = {"error": "the agent restarted before the command was done"}
            final = encode(Reply(id=entry.reply_id, n=left.n, state=ReplyState.FAILED, result=result))
            await self._note(self._memory.finish(entry.key, final))
        await publish_reply(self._session, entry.topic, final, entry.correlation)
        await self._note(self._memory.delivered(entry.key))

    async def _note(self, change: Awaitable[None]) -> None:
        try:
            await change
        except MemoryDown as error:
            _LOG.error("%s; a restart now would answer this command once more", error)


async def _outcome(work: asyncio.Task[Answer], name: str) -> _Final:
    try:
        answer = await work
    except RefusedError as refusal:
        return ReplyState.REFUSED, {"error": str(refusal)}, None
    except FailedError as failure:
        return ReplyState.FAILED, {"error": str(failure)}, failure.code
    except Exception as error:  # noqa: BLE001  supervisor: a handler with a bug is answered, and the others go on
        _LOG.exception("command %s failed", name)
        return ReplyState.FAILED, {"error": f"{type(error).__name__}: {error}"}, None
    return ReplyState.DONE, answer.result, answer.code


def _is_cancelled() -> bool:
    """Whether the task that runs was itself told to end, and not only what it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
