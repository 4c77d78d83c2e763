"""Runs commands and answers them: ``accepted``, any ``output``, exactly one final state.

commands() ─▶ refuse? (retained, malformed, unknown, expired, too many) ─▶ accepted ─▶ handler, time limit ─▶ final
                  │                                                                          │
                  └──────────────────────────▶ Replies ◀─────────────────────────────────────┘
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from agent.commands import COMMANDS, FailedError, Handler, Host, RefusedError, Request
from agent.replies import Replies
from agent.reporter import now_ms
from wire.errors import PayloadError
from wire.messages import Command, ReplyState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.reporter import Reporter
    from wire.session import NodeSession, ReceivedCommand
    from wire.topics import Topics

_LOG: Final = logging.getLogger(__name__)
_TIMEOUT_S: Final = 30.0
_LONGEST_S: Final = 3600.0
_AT_ONCE: Final = 10
_IDS_KEPT: Final = 1000
#: For the last word to those whose commands a stop interrupts.
_GOODBYE_S: Final = 1.0

_Answer = tuple[ReplyState, dict[str, Any]]


class Executor:
    """Takes commands from the session and runs each in a task of its own."""

    def __init__(
        self,
        session: NodeSession,
        topics: Topics,
        reporter: Reporter,
        host: Host,
        *,
        commands: Mapping[str, Handler] = COMMANDS,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._session = session
        self._topics = topics
        self._reporter = reporter
        self._host = host
        self._commands = commands
        self._clock_ms = clock_ms
        self._running = 0
        #: Ids seen lately: QoS 1 may deliver a command twice, and it must not run twice.
        self._seen: OrderedDict[str, None] = OrderedDict()

    async def run(self) -> None:
        """Run commands for ever; those that run when this is cancelled are answered as failed."""
        async with asyncio.TaskGroup() as tasks:
            async for received in self._session.commands():
                if self._is_new(received):
                    tasks.create_task(self._answer(received), name=f"command {received.name}")

    def _is_new(self, received: ReceivedCommand) -> bool:
        if not isinstance(received.body, Command) or received.body.id is None:
            return True
        if received.body.id in self._seen:
            _LOG.info("command %s with id %r came again and is ignored", received.name, received.body.id)
            return False
        self._seen[received.body.id] = None
        if len(self._seen) > _IDS_KEPT:
            self._seen.popitem(last=False)
        return True

    async def _answer(self, received: ReceivedCommand) -> None:
        replies = Replies(self._session, self._topics, received)
        refusal = self._refusal(received)
        if refusal is not None:
            state, why = refusal
            if replies.addressed:
                await replies.send(state, {"error": why})
            else:  # nobody could find the answer
                self._reporter.log("warning", f"command {received.name}: {state}: {why}", command=received.name)
            return
        assert isinstance(received.body, Command)  # noqa: S101  the others are refused
        self._running += 1
        try:
            await replies.send(ReplyState.ACCEPTED)
            await replies.send(*await self._execute(received.name, received.body, replies))
        except asyncio.CancelledError:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    await replies.send(ReplyState.FAILED, {"error": "the agent stopped before the command was done"})
            raise
        finally:
            self._running -= 1

    def _refusal(self, received: ReceivedCommand) -> tuple[ReplyState, str] | None:
        """Why a command is not even tried."""
        body, why = received.body, ""
        if received.retained:
            why = "commands must not be retained: this one would come again at every connection"
        elif isinstance(body, PayloadError):
            why = f"{body.reason}: {body.detail}"
        elif received.name not in self._commands:
            why = f"unknown command {received.name!r}; this node knows {', '.join(sorted(self._commands))}"
        elif body.expires is not None and body.expires <= (now := self._clock_ms()):
            return ReplyState.EXPIRED, f"expired {(now - body.expires) / 1000:.1f} s before it was read"
        elif body.timeout is not None and not 0 < body.timeout <= _LONGEST_S:
            why = f"timeout = {body.timeout:g}: more than 0 and at most {_LONGEST_S:g} s are allowed"
        elif self._running >= _AT_ONCE:
            why = f"{_AT_ONCE} commands are running; try again when one is done"
        return (ReplyState.REFUSED, why) if why else None

    async def _execute(self, name: str, command: Command, replies: Replies) -> _Answer:
        """Run the handler; the final state and its result."""
        limit_s = _TIMEOUT_S if command.timeout is None else command.timeout
        deadline = asyncio.timeout(limit_s)
        try:
            async with deadline:
                return ReplyState.DONE, await self._commands[name](self._host, Request(command.args, replies.output))
        except RefusedError as refusal:
            return ReplyState.REFUSED, {"error": str(refusal)}
        except FailedError as failure:
            return ReplyState.FAILED, {"error": str(failure)}
        except Exception as error:  # noqa: BLE001  supervisor: a handler with a bug is answered, and the others go on
            if deadline.expired():
                return ReplyState.TIMEOUT, {"error": f"not done within {limit_s:g} s"}
            _LOG.exception("command %s failed", name)
            return ReplyState.FAILED, {"error": f"{type(error).__name__}: {error}"}
