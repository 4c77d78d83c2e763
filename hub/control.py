"""Control messages: births, wills, commands and replies, and who is heard; one registry transaction a group.

status ──▶ Presence ──▶ transitions ──▶ Registry.record (durable) ──▶ live subscribers
data   ──▶ Presence ──┘                       ▲
tick   ──▶ Presence (silence) ────────────────┘ + last seen, every few seconds
"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Final

from wire.errors import PayloadError, Reason
from wire.messages import Command, NodeState, Reply, Status, decode
from wire.point import NS_PER_S
from wire.topics import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hub.commands.recorder import Recorder
    from hub.messages import Body, Control, Incoming
    from hub.nodes.model import Transition
    from hub.nodes.presence import Presence
    from hub.nodes.registry import Registry
    from hub.routes import Route

#: Topics on which only the hub publishes.
_OURS: Final = frozenset({Kind.STORED, Kind.ALERT, Kind.STATS, Kind.HUB_STATUS, Kind.HUB_REPLY})
_COMMANDS: Final = frozenset({Kind.COMMAND, Kind.HUB_COMMAND})
#: Last-seen times are written this often; in between they are in memory, and a crash loses no more than that.
_LAST_SEEN_EVERY_NS: Final = 10 * NS_PER_S
#: A second later for so many nodes that were heard: of 100,000 nodes they are written every minute.
_LAST_SEEN_NODES_A_S: Final = 2_000
#: In one transaction: whatever else is to be written, births and logins, waits no longer than this takes.
_LAST_SEEN_AT_ONCE: Final = 5_000
#: A broker that gives the births of 100,000 nodes at once shall not keep everybody else waiting for all of them.
_ANNOUNCED_AT_ONCE: Final = 500


class Controls:
    """Decodes control messages and keeps presence and registry in step.

    Args:
        presence: what is known about each node, in memory.
        registry: the same, lasting.
        announce: called with the transitions once they are durable.
        recorder: has commands and replies recorded; nobody does when None.
    """

    def __init__(
        self,
        presence: Presence,
        registry: Registry,
        announce: Callable[[Sequence[Transition]], None],
        recorder: Recorder | None = None,
    ) -> None:
        self._presence = presence
        self._registry = registry
        self._announce = announce
        self._recorder = recorder
        self._unwritten: list[Transition] = []
        # The ticker and the pipeline flush at the same time: each transition is written once, in order.
        self._writing = asyncio.Lock()
        #: What could not be written the last time.
        self._last_seen: dict[str, int] = {}
        self._last_seen_written_ns = 0
        self._last_seen_wait_ns = _LAST_SEEN_EVERY_NS

    @staticmethod
    def parse(route: Route, message: Incoming) -> Body:
        """Decode a control message.

        Raises:
            PayloadError: it is none, or on a topic that only the hub may publish to.
        """
        kind = route.address.kind if route.address is not None else None
        if kind in _OURS:
            if message.retain:
                return None  # the broker's copy of what a hub said before
            raise PayloadError(Reason.UNKNOWN_TOPIC, f"only the hub publishes on {kind} topics")
        if not message.payload:
            if kind is Kind.STATUS:
                return None  # a retained status was deleted
            if kind in _COMMANDS:
                return Command()
        if kind is Kind.STATUS:
            return decode(message.payload, Status)
        if kind in _COMMANDS:
            return decode(message.payload, Command)
        return decode(message.payload, Reply)

    def observe(self, controls: Sequence[Control], heard: Iterable[str], arrival_ns: int) -> None:
        """Take the control messages of a group, and the nodes that published data in it; ``flush`` makes it durable."""
        for control in controls:
            if isinstance(control.body, Status):
                self._unwritten += self._presence.observe_status(
                    control.route.node, control.body, control.arrival_ns, retained=control.message.retain
                )
        self._unwritten += self._presence.observe_data(heard, arrival_ns)
        if self._recorder is not None:
            self._recorder.observe(controls)

    def resume(self, now_ns: int) -> None:
        """Say that the clock was set, or the process stood still: what was not heard meanwhile is nobody's silence."""
        self._presence.resume(now_ns)

    async def tick(self, now_ns: int, *, connected: bool) -> None:
        """Find silent nodes and write last-seen times; called about once a second.

        Raises:
            RegistryError: nothing of it is durable; the next tick tries again.
        """
        if connected:
            self._unwritten += self._presence.tick(now_ns)
        await self._write()
        if not 0 <= now_ns - self._last_seen_written_ns < self._last_seen_wait_ns:
            self._last_seen |= self._presence.take_last_seen()
            wait_ns = _LAST_SEEN_EVERY_NS + len(self._last_seen) // _LAST_SEEN_NODES_A_S * NS_PER_S
            while part := dict(islice(self._last_seen.items(), _LAST_SEEN_AT_ONCE)):
                await self._registry.record((), part)
                for node in part:
                    del self._last_seen[node]
            self._last_seen_wait_ns, self._last_seen_written_ns = wait_ns, now_ns

    async def flush(self) -> None:
        """Write the transitions, commands and replies that are not durable yet, and announce them.

        Raises:
            RegistryError, StateUnavailable: they are kept for the next call.
        """
        await self._write()
        if self._recorder is not None:
            await self._recorder.flush()

    async def _write(self) -> None:
        async with self._writing:
            if transitions := tuple(self._unwritten):
                await self._registry.record(transitions, {})
                del self._unwritten[: len(transitions)]
                for start in range(0, len(transitions), _ANNOUNCED_AT_ONCE):
                    if start:
                        await asyncio.sleep(0)  # others wait for the event loop
                    self._announce(transitions[start : start + _ANNOUNCED_AT_ONCE])


def session_of(body: Body) -> str | None:
    """The session that a birth names."""
    return body.session if isinstance(body, Status) and body.state is NodeState.ONLINE else None
