"""Who is there: pure state machine over births, wills, data and silence. No clock, no database, no network.

              birth, data                      nothing for silent_after
    (new) ─────────────────▶ online ───────────────────────────────────▶ silent
    never ─────────────────▶   │  ▲ ◀─────────────── birth, data ───────────┘ │
                               │  └────────────── birth, data ──────┐         │
                               └── announced end, will ──────────▶ offline ◀──┘ will

One connection opens with each way into ``online`` and closes with each way out of it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from hub.nodes.model import Birth, Change, Contact, Transition, Why
from wire.messages import NodeState
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hub.nodes.model import NodeRow
    from wire.messages import Status

#: What is sent just before an end may be seen just after it: data that late does not bring a node back.
_SETTLE_NS: Final = 2 * NS_PER_S
_LONGEST_TEXT: Final = 200
#: Nodes that :meth:`Presence.tick` finds silent at a time: when all are gone at once, whoever waits for the event loop
#: shall not wait for all of them.
_SILENT_AT_ONCE: Final = 2_000
#: Node times outside 2020 … 2200 come from clocks that were never set.
_EARLIEST_MS: Final = 1_577_836_800_000
_LATEST_MS: Final = 7_258_118_400_000


class Presence:
    """Tracks every known node. Used from one thread; each call costs about a microsecond a node.

    Args:
        silent_after_s: a node that announced no end and sends nothing for this long is silent.
    """

    def __init__(self, silent_after_s: float) -> None:
        self._silent_after_ns = int(silent_after_s * NS_PER_S)
        self._nodes: dict[str, _Known] = {}
        self._counts = dict.fromkeys(Contact, 0)
        self._listening_since_ns = 0
        self._next_due_ns = 0

    # -- what is known ----------------------------------------------------------------------------------------------

    def restore(self, nodes: Iterable[NodeRow], now_ns: int) -> None:
        """Take over what the registry kept; nodes get ``silent_after`` from now to be heard again."""
        for row in nodes:
            self._add(
                row.node,
                _Known(
                    contact=row.contact,
                    since_ns=row.since_ns or 0,
                    last_seen_ns=row.last_seen_ns,
                    connected_ns=row.connected_ns,
                    session=row.session,
                    birth_ms=row.birth_ms,
                    taken_ns=row.last_seen_ns,
                ),
            )
        self.resume(now_ns)

    def declare(self, node: str) -> None:
        """Know ``node`` before it is heard, so that it is not new when it is."""
        if node not in self._nodes:
            self._add(node, _Known(Contact.NEVER))

    def forget(self, node: str) -> None:
        """Drop ``node``; it is new when it is heard again."""
        if (known := self._nodes.pop(node, None)) is not None:
            self._counts[known.contact] -= 1

    def nodes(self) -> list[str]:
        """All known nodes."""
        return list(self._nodes)

    def contact(self, node: str) -> Contact | None:
        """State of ``node``; None when it is unknown."""
        known = self._nodes.get(node)
        return known.contact if known is not None else None

    def last_seen_ns(self, node: str) -> int | None:
        """When ``node`` was last heard; None when it is unknown or never was."""
        known = self._nodes.get(node)
        return known.last_seen_ns if known is not None else None

    def counts(self) -> dict[Contact, int]:
        """Number of nodes in each state."""
        return dict(self._counts)

    def counters(self) -> dict[str, Callable[[], int]]:
        """For each state, what says how many nodes are in it now."""
        return {contact: partial(self._count, contact) for contact in Contact}

    def take_last_seen(self) -> dict[str, int]:
        """The nodes heard since the last call, and when; for :meth:`hub.nodes.registry.Registry.record`."""
        heard = {}
        for node, known in self._nodes.items():
            if known.last_seen_ns is not None and known.last_seen_ns != known.taken_ns:
                heard[node] = known.taken_ns = known.last_seen_ns
        return heard

    # -- what is observed -------------------------------------------------------------------------------------------

    def resume(self, now_ns: int) -> None:
        """Say that the hub hears the broker (again) from now on: its own absence is no silence of the nodes.

        Call it whenever the link is back, and :meth:`tick` only while it is up.
        """
        self._listening_since_ns = now_ns
        self._next_due_ns = 0

    def observe_status(self, node: str, status: Status, arrival_ns: int, *, retained: bool) -> list[Transition]:
        """Take a birth, an announced end or a will. Texts longer than 200 characters are cut."""
        known = self._nodes.get(node)
        changes = []
        if known is None:
            known = self._add(node, _Known(Contact.NEVER))
            changes.append(Transition(node, Change.NEW, arrival_ns, Why.BIRTH))
        birth = Birth(
            session=_bounded(status.session),
            version=_bounded(status.version),
            outbox=status.outbox,
            info=status.info,
            ts_ms=_plausible(status.ts),
        )
        if status.state is NodeState.ONLINE:
            changes += self._born(node, known, birth, arrival_ns, retained=retained)
        else:
            changes += self._gone(node, known, birth, _bounded(status.reason), arrival_ns, retained=retained)
        return changes

    def observe_data(self, nodes: Iterable[str], arrival_ns: int) -> list[Transition]:
        """Note that ``nodes`` published; once a batch, after its status messages."""
        everyone, online = self._nodes, Contact.ONLINE
        changes: list[Transition] = []
        for node in nodes:
            known = everyone.get(node)
            if known is not None and known.contact is online:
                known.last_seen_ns = arrival_ns
            else:
                changes += self._heard(node, known, arrival_ns)
        return changes

    def tick(self, now_ns: int) -> list[Transition]:
        """Find the nodes that fell silent, of very many some; call it every second or so while the link is up."""
        if now_ns < self._next_due_ns:
            if self._next_due_ns - now_ns <= self._silent_after_ns:
                return []
            self.resume(now_ns)  # our clock was set back: what was due then is hours away now
        changes: list[Transition] = []
        earliest_ns = now_ns
        for node, known in self._nodes.items():
            if known.contact is not Contact.ONLINE:
                continue
            last_ns = known.last_seen_ns or known.since_ns
            if last_ns - now_ns > self._silent_after_ns:
                last_ns = 0  # heard by a clock that was set back since
            heard_ns = max(last_ns, self._listening_since_ns)
            if now_ns - heard_ns > self._silent_after_ns:
                if len(changes) >= _SILENT_AT_ONCE:
                    return changes
                last_ns = known.last_seen_ns or known.since_ns
                changes.append(self._leave(known, node, Change.SILENT, Why.SILENCE, now_ns, ended_ns=last_ns))
            else:
                earliest_ns = min(earliest_ns, heard_ns)
        self._next_due_ns = earliest_ns + self._silent_after_ns
        return changes

    # -- how it is decided ------------------------------------------------------------------------------------------

    def _count(self, contact: Contact) -> int:
        return self._counts[contact]

    def _add(self, node: str, known: _Known) -> _Known:
        if (before := self._nodes.get(node)) is not None:
            self._counts[before.contact] -= 1
        self._nodes[node] = known
        self._counts[known.contact] += 1
        return known

    def _enter(self, known: _Known, node: str, reason: str, at_ns: int, birth: Birth | None) -> Transition:
        self._counts[known.contact] -= 1
        self._counts[Contact.ONLINE] += 1
        return known.enter(node, reason, at_ns, birth)

    def _leave(
        self, known: _Known, node: str, change: Change, reason: str, at_ns: int, *, ended_ns: int | None
    ) -> Transition:
        self._counts[known.contact] -= 1
        transition = known.leave(node, change, reason, at_ns, ended_ns=ended_ns)
        self._counts[known.contact] += 1
        return transition

    def _born(self, node: str, known: _Known, birth: Birth, at_ns: int, *, retained: bool) -> list[Transition]:
        again = known.contact is not Contact.NEVER and known.is_same_birth(birth)
        if retained and again:
            return []  # the broker's copy of what is known already is no sign of life
        if known.contact is not Contact.ONLINE:
            return [self._enter(known, node, Why.BIRTH, at_ns, birth)]
        if known.is_other_session(birth):
            if known.is_older(birth):
                return []  # left over in the broker's queue
            ended_ns = known.last_seen_ns if retained else None
            gone = self._leave(known, node, Change.OFFLINE, Why.REPLACED, at_ns, ended_ns=ended_ns)
            return [gone, self._enter(known, node, Why.BIRTH, at_ns, birth)]
        if not retained:
            known.last_seen_ns = at_ns
        if again and birth.ts_ms is not None:
            return []
        known.session, known.birth_ms = birth.session or known.session, birth.ts_ms
        return [Transition(node, Change.UPDATED, at_ns, Why.BIRTH, session=known.session, birth=birth)]

    def _gone(
        self, node: str, known: _Known, end: Birth, reason: str | None, at_ns: int, *, retained: bool
    ) -> list[Transition]:
        if known.contact is Contact.OFFLINE:
            return []
        if known.contact is Contact.ONLINE and known.is_other_session(end) and not known.is_newer(end):
            return []  # a will of an earlier session that comes after the birth of this one
        ended_ns = at_ns
        if retained:  # it happened while the hub was away: after the node was last heard, and not before it says
            ended_ns = min(at_ns, max(known.last_seen_ns or at_ns, (end.ts_ms or 0) * 1_000_000))
        return [self._leave(known, node, Change.OFFLINE, reason or Why.WILL, at_ns, ended_ns=ended_ns)]

    def _heard(self, node: str, known: _Known | None, arrival_ns: int) -> list[Transition]:
        if known is None:
            known = self._add(node, _Known(Contact.NEVER))
            new = Transition(node, Change.NEW, arrival_ns, Why.DATA)
            return [new, self._enter(known, node, Why.DATA, arrival_ns, None)]
        if known.contact is Contact.OFFLINE and abs(arrival_ns - known.since_ns) < _SETTLE_NS:
            known.last_seen_ns = max(arrival_ns, known.last_seen_ns or 0)
            return []
        why = Why.BACK if known.contact is Contact.SILENT else Why.DATA
        return [self._enter(known, node, why, arrival_ns, None)]


class _Known(msgspec.Struct):
    """State of one node. Times are ns; those of its changes never go back, even where the clock does."""

    contact: Contact
    since_ns: int = 0
    last_seen_ns: int | None = None
    #: Start of the connection that is open.
    connected_ns: int | None = None
    session: str | None = None
    birth_ms: int | None = None
    #: What :meth:`Presence.take_last_seen` last gave.
    taken_ns: int | None = None

    def enter(self, node: str, reason: str, at_ns: int, birth: Birth | None) -> Transition:
        """Open a connection."""
        at_ns = max(at_ns, self.since_ns)
        self.contact, self.since_ns, self.connected_ns, self.last_seen_ns = Contact.ONLINE, at_ns, at_ns, at_ns
        if birth is not None:
            self.session, self.birth_ms = birth.session, birth.ts_ms
        return Transition(node, Change.ONLINE, at_ns, reason, session=self.session, birth=birth)

    def leave(self, node: str, change: Change, reason: str, at_ns: int, *, ended_ns: int | None = None) -> Transition:
        """Close the connection, if one is open."""
        connected_ns = self.connected_ns
        ended_ns = at_ns if ended_ns is None else ended_ns
        ended_ns = max(ended_ns, connected_ns) if connected_ns is not None else None
        at_ns = max(at_ns, self.since_ns, ended_ns or 0)
        self.contact = Contact.SILENT if change is Change.SILENT else Contact.OFFLINE
        self.since_ns, self.connected_ns = at_ns, None
        return Transition(
            node, change, at_ns, reason, session=self.session, connected_ns=connected_ns, ended_ns=ended_ns
        )

    def is_same_birth(self, birth: Birth) -> bool:
        return (self.session, self.birth_ms) == (birth.session, birth.ts_ms)

    def is_other_session(self, birth: Birth) -> bool:
        return None not in (self.session, birth.session) and self.session != birth.session

    def is_older(self, birth: Birth) -> bool:
        return self.birth_ms is not None and birth.ts_ms is not None and birth.ts_ms < self.birth_ms

    def is_newer(self, birth: Birth) -> bool:
        return self.birth_ms is not None and birth.ts_ms is not None and birth.ts_ms > self.birth_ms


def _bounded(text: str | None) -> str | None:
    return text[:_LONGEST_TEXT].replace("\x00", "") if text is not None else None


def _plausible(ts_ms: int | None) -> int | None:
    return ts_ms if ts_ms is not None and _EARLIEST_MS <= ts_ms < _LATEST_MS else None
