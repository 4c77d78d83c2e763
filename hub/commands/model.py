"""Words and values of commands: what was asked of which node, by whom, and what became of it."""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from wire.messages import ReplyState


class State(enum.StrEnum):
    """What is known of a command; those from ``DONE`` on are final."""

    #: Recorded, and not yet confirmed by the broker.
    SENDING = "sending"
    #: With the broker; nothing came back yet. Says nothing of the node: see :func:`shown`.
    SENT = "sent"
    #: As ``SENT``, and the node is not connected. Only shown, never stored.
    WAITING = "waiting"
    ACCEPTED = "accepted"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    #: Its time passed before it was begun: the node says so, or nothing came and the hub does.
    EXPIRED = "expired"
    #: The broker did not take it.
    UNSENT = "unsent"
    #: Begun, and no final state came in its time.
    UNANSWERED = "unanswered"

    @property
    def final(self) -> bool:
        """Whether nothing more is expected."""
        return self not in (State.SENDING, State.SENT, State.WAITING, State.ACCEPTED)


class Origin(enum.StrEnum):
    """Where the hub knows a command from."""

    #: Sent by the hub, for a user of its API.
    API = "api"
    #: Seen on the broker; MQTT does not say who published it.
    MQTT = "mqtt"
    #: Only replies were seen.
    REPLY = "reply"


class Who(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of the sender, each with how it is known."""

    #: User whose API token asked for it.
    user: str | None = None
    #: Operator whose signature it carries, as the signature names it.
    signer: str | None = None
    #: True: checked against a key that the hub holds. None: the hub holds none of that name.
    verified: bool | None = None
    #: What a user property ``user`` says; anybody may write one.
    claimed: str | None = None


class Command(msgspec.Struct):
    """One command to one node. Times are ns; changed only by :mod:`hub.commands.life`."""

    node: str
    id: str
    command: str
    origin: Origin
    who: Who
    requested_ns: int
    #: Arguments as JSON text, cut at a bound.
    args: str = "{}"
    #: What is published; empty once it is final, and for those of others.
    payload: str = ""
    timeout_s: float | None = None
    expires_ms: int | None = None
    state: State = State.SENT
    #: Whether the state is the node's word rather than what the hub made of its silence.
    by_node: bool = False
    sent_ns: int | None = None
    accepted_ns: int | None = None
    ended_ns: int | None = None
    code: int | None = None
    #: Result as JSON text, cut at a bound; empty where there is none.
    result: str = ""
    error: str | None = None
    #: Number of the newest reply; -1 before the first.
    last_n: int = -1
    chunks: int = 0
    output_bytes: int = 0
    #: Chained over all output, kept or not; see :func:`hub.commands.life.output_digest`.
    output_digest: str = ""
    #: Bytes of output that are kept.
    kept_bytes: int = 0
    #: The fleet run that it is part of.
    run: str | None = None
    #: Came as a retained message.
    retained: bool = False
    #: How often it was seen again.
    repeats: int = 0
    #: One of the same id had ended before it.
    again: bool = False
    response_topic: str | None = None
    #: Row of the database; 0 before it has one.
    number: int = 0

    def result_value(self) -> Any:
        """The result as a value; None where there is none, a text where it was cut."""
        try:
            return msgspec.json.decode(self.result) if self.result else None
        except msgspec.DecodeError:
            return self.result


class Chunk(msgspec.Struct, frozen=True):
    """One piece of output."""

    n: int
    at_ns: int
    stream: str
    data: str


class Seen(msgspec.Struct, frozen=True):
    """A request that was seen on the broker."""

    node: str
    command: str
    #: None: it names none, and replies to it cannot be told from others.
    id: str | None
    at_ns: int
    who: Who
    args: str
    timeout_s: float | None
    #: When nobody will run it any more: its own word, or when the broker drops it.
    expires_ms: int | None
    retained: bool
    #: The broker says that it may have been delivered before.
    again: bool
    response_topic: str | None
    #: SHA-256 of the payload.
    digest: str


class Answer(msgspec.Struct, frozen=True):
    """A reply that was seen on the broker, on a reply topic of ``node``."""

    node: str
    id: str
    at_ns: int
    n: int
    state: ReplyState
    stream: str
    data: str
    code: int | None
    #: JSON text; empty where there is none.
    result: str
    error: str | None
    #: The node says that it had a command of this id before.
    duplicate: bool = False


class Progress(msgspec.Struct, frozen=True):
    """One step of a command, for those who look on."""

    at_ns: int
    node: str
    id: str
    command: str
    state: State
    #: Number of the reply, where a reply was the reason.
    n: int | None = None
    stream: str | None = None
    data: str | None = None
    code: int | None = None
    error: str | None = None


class Entry(msgspec.Struct, frozen=True):
    """What is about to be written into the journal."""

    at_ns: int
    kind: str
    node: str
    id: str
    #: Facts, JSON.
    facts: dict[str, Any]


def shown(state: State, *, online: bool) -> State:
    """What people are told: a command that the broker holds for a node that is off is waiting, never delivered."""
    return State.WAITING if state is State.SENT and not online else state
