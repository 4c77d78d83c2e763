"""Commands to the hub itself on the broker: acknowledge, assign, comment, silence.

{root}/$hub/{hub}/cmd/{command} ─▶ pipeline (durable) ─▶ take ─▶ run ─▶ Desk ─▶ journal of commands
                                                                           └─▶ {root}/$hub/{hub}/reply/{id}

    alert-ack     {"args": {"id": 17, "by": "jo", "why": "on my way"}}
    alert-assign  {"args": {"id": 17, "to": "jo", "by": "kim"}}            "to": null takes it from everybody
    alert-comment {"args": {"id": 17, "by": "jo", "why": "the fan is being changed"}}
    silence       {"args": {"rule": "disk-*", "node": "nas", "for": "2h", "by": "jo", "why": "moving files"}}
    unsilence     {"args": {"id": 3, "by": "jo"}}

MQTT does not say who published; the broker lets operators alone do it, and ``by`` is what they say.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Annotated, Any, Final, Never

import msgspec
import structlog

from hub.alerts.desk import NoSuchSilence
from hub.alerts.lifecycle import NoSuchAlert, NotNow
from hub.link import LinkDown
from hub.nodes.database import RegistryError
from hub.statefile import StateUnavailable
from wire.messages import Command, Reply, ReplyState, encode
from wire.point import NS_PER_MS, NS_PER_S
from wire.settings import parse_duration
from wire.topics import Kind, is_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from hub.alerts.clerk import Publishing
    from hub.alerts.desk import Desk
    from hub.alerts.model import Alert, Silence
    from hub.messages import Control
    from wire.topics import Topics

    #: The hub's id, the reply, when it was given.
    Record = Callable[[str, Reply, int], Awaitable[None]]

#: Ids of commands that are remembered, so that what the broker delivers twice is done once.
_REMEMBERED: Final = 1000
_MOST_WAITING: Final = 1000
_LONGEST_SILENCE_S: Final = 10 * 365 * 86_400.0

_log = structlog.get_logger("hub.alerts")

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
#: As databases hold them.
_Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_By = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class OnAlert(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``alert-ack``."""

    id: _Number
    by: _By
    why: str = ""


class Assign(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``alert-assign``."""

    id: _Number
    by: _By
    to: _By | None
    why: str = ""


class Comment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``alert-comment``."""

    id: _Number
    by: _By
    why: _Text


class Silencing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``silence``; what is left out means all."""

    by: _By
    why: _Text
    lasts: Any = msgspec.field(name="for")
    rule: str = "*"
    node: str = "*"


class Unsilencing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``unsilence``."""

    id: _Number
    by: _By


class HubCommands:
    """Carries commands out one after the other.

    Args:
        hub: id of this hub; commands to others are theirs.
        desk: where they are carried out.
        link: where replies go out.
        topics: their topics.
        clock_ns: wall clock.
        record: keeps a reply in the journal of commands; raises ``StateUnavailable`` where that must wait.
    """

    def __init__(  # noqa: PLR0917  as the others are made
        self,
        hub: str,
        desk: Desk,
        link: Publishing,
        topics: Topics,
        clock_ns: Callable[[], int] = time.time_ns,
        record: Record | None = None,
    ) -> None:
        self._hub = hub
        self._desk = desk
        self._link = link
        self._topics = topics
        self._clock_ns = clock_ns
        self._record = record
        self._waiting: deque[tuple[str, Command]] = deque()
        self._seen: deque[str] = deque(maxlen=_REMEMBERED)
        self._stirred = asyncio.Event()
        self._does: dict[str, Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]] = {
            "alert-ack": self._acknowledge,
            "alert-assign": self._assign,
            "alert-comment": self._comment,
            "silence": self._silence,
            "unsilence": self._unsilence,
        }

    def take(self, controls: Iterable[Control]) -> None:
        """Note the commands to this hub among ``controls``."""
        for control in controls:
            address, body = control.route.address, control.body
            if address is None or address.kind is not Kind.HUB_COMMAND or address.node != self._hub:
                continue
            if not isinstance(body, Command) or control.message.retain:
                continue
            if body.id is not None:
                if not is_name(body.id):
                    _log.error("a command to the hub has an id that fits no topic: not carried out", id=body.id[:64])
                    continue
                if body.id in self._seen:
                    continue
                self._seen.append(body.id)
            if len(self._waiting) >= _MOST_WAITING:
                _log.error("too many commands to the hub wait: one is not carried out", command=address.name)
                continue
            self._waiting.append((address.name, body))
            self._stirred.set()

    async def run(self) -> Never:
        """Carry out what was taken, until cancelled."""
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            while self._waiting:
                name, command = self._waiting.popleft()
                state, result = await self._answer(name, command)
                _log.info("command to the hub", command=name, outcome=state, result=result)
                if command.id is not None:
                    await self._reply(Reply(command.id, 0, state, result=result))

    async def _answer(self, name: str, command: Command) -> tuple[ReplyState, dict[str, Any]]:
        does = self._does.get(name)
        if does is None:
            return ReplyState.REFUSED, {"error": f"no command {name!r}; there are {', '.join(self._does)}"}
        if command.expires is not None and command.expires * NS_PER_MS < self._clock_ns():
            return ReplyState.EXPIRED, {}
        try:
            return ReplyState.DONE, await does(command.args)
        except (msgspec.ValidationError, ValueError) as error:
            return ReplyState.REFUSED, {"error": str(error)}
        except (NoSuchAlert, NoSuchSilence, NotNow, RegistryError) as error:
            return ReplyState.FAILED, {"error": str(error)}

    async def _reply(self, reply: Reply) -> None:
        if self._record is not None:
            try:
                await self._record(self._hub, reply, self._clock_ns())
            except StateUnavailable as error:
                _log.error("the reply to a command comes into the journal later", id=reply.id, why=str(error))
        try:
            await self._link.publish(self._topics.hub_reply(self._hub, reply.id), encode(reply), qos=1)
        except LinkDown as error:
            _log.warning("the reply to a command is lost", id=reply.id, why=str(error))

    async def _acknowledge(self, args: dict[str, Any]) -> dict[str, Any]:
        wanted = msgspec.convert(args, OnAlert)
        return _said(await self._desk.acknowledge(wanted.id, by=wanted.by, why=wanted.why))

    async def _assign(self, args: dict[str, Any]) -> dict[str, Any]:
        wanted = msgspec.convert(args, Assign)
        return _said(await self._desk.assign(wanted.id, wanted.to, by=wanted.by, why=wanted.why))

    async def _comment(self, args: dict[str, Any]) -> dict[str, Any]:
        wanted = msgspec.convert(args, Comment)
        return _said(await self._desk.comment(wanted.id, by=wanted.by, why=wanted.why))

    async def _silence(self, args: dict[str, Any]) -> dict[str, Any]:
        wanted = msgspec.convert(args, Silencing)
        lasts_s = parse_duration(wanted.lasts)
        if not 0 < lasts_s <= _LONGEST_SILENCE_S:
            raise ValueError("for: must be longer than nothing, e.g. 2h, and at most ten years")
        return _silenced(
            await self._desk.silence(
                rule=wanted.rule,
                node=wanted.node,
                ends_ns=self._clock_ns() + int(lasts_s * NS_PER_S),
                by=wanted.by,
                why=wanted.why,
            )
        )

    async def _unsilence(self, args: dict[str, Any]) -> dict[str, Any]:
        wanted = msgspec.convert(args, Unsilencing)
        return _silenced(await self._desk.unsilence(wanted.id, by=wanted.by))


def _said(alert: Alert) -> dict[str, Any]:
    return {"id": alert.id, "state": str(alert.state)}


def _silenced(silence: Silence) -> dict[str, Any]:
    return {"id": silence.id, "ends": silence.ends_ns // NS_PER_MS}
