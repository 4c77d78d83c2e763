"""Sends commands: recorded first, published at QoS 1 with an expiry, recorded again when the broker has them.

send ─▶ Book.ask (durable: sending) ─▶ publish × n ─┬─ PUBACK ──▶ Book.confirm (sent, or unsent: refused)
└─ link down: stays *sending* ─▶ resend at the next connect
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import secrets
from typing import TYPE_CHECKING, Final

import msgspec

from hub.commands.model import Command, Origin, State, Who
from hub.commands.recorder import cut_json
from hub.link import LinkDown
from wire import messages
from wire.messages import encode
from wire.packets import TOO_LARGE
from wire.point import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from hub.commands.book import Book
    from hub.commands.keys import OperatorKeys
    from hub.commands.model import Progress
    from hub.link import Link
    from wire.topics import Topics

#: Published and not yet acknowledged by the broker at a time.
_AT_ONCE: Final = 500
#: MQTT 5 §2.4: reason codes from here on say no.
_REFUSED: Final = 0x80
_NOT_AUTHORISED: Final = 0x87
_RESENT_AT_ONCE: Final = 10_000
_OPEN: Final = ("ended_ns IS NULL",)
#: Commands of the API that wait for the first word of one node.
MOST_OPEN: Final = 100


class TooManyOpen(Exception):  # noqa: N818  the name says what the caller is told
    """A node has too many commands that nothing came back for."""


class IdTaken(Exception):  # noqa: N818
    """The node had a command of this id before."""


class Wanted(msgspec.Struct, frozen=True):
    """A command that somebody wants sent."""

    node: str
    command: str
    #: As it travels; without id it gets one.
    body: messages.Command
    user: str
    run: str | None = None


class Sender:
    """Publishes over the hub's link.

    Args:
        book: records each step.
        topics: the commands' topics.
        tell: called with progress once it is durable.
        keys: tell whose signature a command carries.
        clock_ns: wall clock.
    """

    def __init__(
        self,
        book: Book,
        topics: Topics,
        tell: Callable[[Sequence[Progress]], None],
        *,
        keys: OperatorKeys,
        clock_ns: Callable[[], int],
    ) -> None:
        self._book = book
        self._topics = topics
        self._tell = tell
        self._keys = keys
        self._clock_ns = clock_ns
        self._link: Link | None = None
        #: Numbers of commands that are being published now.
        self._under_way: set[int] = set()
        #: Between the check of a bound and the record that counts for it.
        self._asking = asyncio.Lock()

    def use(self, link: Link) -> None:
        """Publish over ``link``."""
        self._link = link

    async def send_one(self, wanted: Wanted) -> Command:
        """As :meth:`send`, for somebody who can be told to wait.

        Raises:
            TooManyOpen, IdTaken: nothing was sent.
            StateUnavailable: nothing was sent.
        """
        async with self._asking:
            command = self._command(wanted)
            await self._check(command)
            await self._ask([command])
        await self._publish([command])
        return command

    async def send(self, wanted: Sequence[Wanted]) -> list[Command]:
        """Send commands; each is recorded when this returns, and with the broker unless its state is *sending*.

        Raises:
            StateUnavailable: nothing was sent.
        """
        made = [self._command(each) for each in wanted]
        await self._ask(made)
        await self._publish(made)
        return made

    async def cancel(self, command: Command, user: str) -> Command:
        """Ask the node to end a command: a command of its own, which the node answers.

        Raises:
            StateUnavailable: nothing was sent.
        """
        expires_ms = self._clock_ns() // NS_PER_MS + 60_000
        if command.expires_ms is not None and command.accepted_ns is None:
            expires_ms = max(expires_ms, command.expires_ms)  # it waits as long as what it is about
        body = messages.Command(args={"id": command.id}, expires=expires_ms)
        return (await self.send([Wanted(command.node, "cancel", body, user)]))[0]

    async def resend(self, remembering: Callable[[set[str]], Awaitable[set[str]]]) -> None:
        """Publish what the broker has not confirmed; called when the link is back.

        Also what it has confirmed and nothing came back for: a broker that was killed has forgotten some of it. Only to
        nodes that run no id twice.

        Args:
            remembering: of some nodes, those that remember the ids of commands.
        """
        unconfirmed = await self._book.select([("state = ?", State.SENDING), _OPEN], _RESENT_AT_ONCE)
        waiting = await self._book.select([("state = ?", State.SENT), _OPEN], _RESENT_AT_ONCE)
        waiting = [each for each in waiting if each.payload and each.last_n < 0]
        safe = await remembering({each.node for each in waiting}) if waiting else set()
        again = [*unconfirmed, *(each for each in waiting if each.node in safe)]
        again.sort(key=lambda each: each.number)
        await self._publish([each for each in again if each.number not in self._under_way])

    # -- private ------------------------------------------------------------------------------------------------------

    def _command(self, wanted: Wanted) -> Command:
        body = wanted.body
        if body.id is None:
            body = msgspec.structs.replace(body, id=secrets.token_hex(16))
        return Command(
            node=wanted.node,
            id=body.id or "",
            command=wanted.command,
            origin=Origin.API,
            who=self._who(wanted, body),
            requested_ns=self._clock_ns(),
            args=cut_json(body.args),
            payload=encode(body).decode(),
            timeout_s=body.timeout,
            expires_ms=body.expires,
            state=State.SENDING,
            run=wanted.run,
        )

    def _who(self, wanted: Wanted, body: messages.Command) -> Who:
        if body.signature is None:
            return Who(user=wanted.user)
        verified = self._keys.check(body, wanted.node, wanted.command)
        return Who(user=wanted.user, signer=body.operator, verified=verified)

    async def _ask(self, made: Sequence[Command]) -> None:
        await self._book.ask([(each, hashlib.sha256(each.payload.encode()).hexdigest()) for each in made])

    async def _check(self, command: Command) -> None:
        if await self._book.find(command.id, command.node):
            raise IdTaken(f"node {command.node} had a command with the id {command.id!r} before")
        open_ones = await self._book.counts([("node = ?", command.node), _OPEN])
        if open_ones.get(State.SENDING, 0) + open_ones.get(State.SENT, 0) >= MOST_OPEN:
            raise TooManyOpen(f"node {command.node} has {MOST_OPEN} commands that wait for its first word")

    async def _publish(self, commands: Sequence[Command]) -> None:
        numbers = {command.number for command in commands}
        self._under_way |= numbers
        try:
            window = asyncio.Semaphore(_AT_ONCE)
            answers = await asyncio.gather(*(self._publish_one(each, window) for each in commands))
            said = {
                each.number: answer[0] for each, answer in zip(commands, answers, strict=True) if answer is not None
            }
            if said:
                progress = await self._book.confirm(said)
                self._tell(progress)
                for command in commands:
                    if command.number in said and command.state is State.SENDING:
                        refusal = said[command.number]
                        command.state = State.SENT if refusal is None else State.UNSENT
                        command.error = refusal
        finally:
            self._under_way -= numbers

    async def _publish_one(self, command: Command, window: asyncio.Semaphore) -> tuple[str | None] | None:
        """What the broker said, why it refused or None for yes; nothing at all where it did not answer."""
        async with window:
            expiry_s = None
            if command.expires_ms is not None:
                left_ns = command.expires_ms * NS_PER_MS - self._clock_ns()
                if left_ns <= 0:
                    return None  # the ticker calls it expired
                expiry_s = math.ceil(left_ns / NS_PER_S)
            if self._link is None:
                return None
            topic = self._topics.command(command.node, command.command)
            try:
                code = await self._link.publish(topic, command.payload.encode(), expiry_s=expiry_s)
            except LinkDown:
                return None
        return (_refusal(code),)


def _refusal(code: int) -> str | None:
    if code < _REFUSED:
        return None
    if code == _NOT_AUTHORISED:
        return "the broker does not let the hub's account publish commands to this node"
    if code == TOO_LARGE:
        return "it is larger than the broker takes"
    return f"the broker refused it with reason code 0x{code:02x}"
