"""Errors shared by every process, by what the caller will do.

WireError
├── PayloadError      refuse the message: it can never be stored as it is (reason and detail say why)
├── TopicError        refuse the message: the topic is none of ours
├── SessionDown       try again later: the connection to the broker is down
│   └── SessionRefused    try again slowly: the broker refuses us; a person must act
├── OutboxError       stop: the outbox cannot be opened or written; a person must act
│   └── OutboxFull        produce nothing more until there is room again
└── SettingsError     stop: the settings are wrong (one problem a line)
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Reason(enum.StrEnum):
    """Why a message, a point or a value was refused. Public: metrics, the ledger and rejects are keyed by it."""

    NOT_UTF8 = "not-utf8"
    NOT_JSON = "not-json"
    WRONG_SHAPE = "wrong-shape"
    NO_VALUES = "no-values"
    UNKNOWN_KEY = "unknown-key"
    NOT_FINITE = "not-finite"
    BAD_TIMESTAMP = "bad-timestamp"
    TOO_LARGE = "too-large"
    TOO_DEEP = "too-deep"
    TOO_MANY_VALUES = "too-many-values"
    KEY_TOO_LONG = "key-too-long"
    TEXT_TOO_LONG = "text-too-long"
    BAD_TAG = "bad-tag"
    BAD_LINE = "bad-line"
    TOO_OLD = "too-old"
    IN_FUTURE = "in-future"
    SERIES_LIMIT = "series-limit"
    TYPE_CLASH = "type-clash"
    UNKNOWN_TOPIC = "unknown-topic"
    BAD_NODE_ID = "bad-node-id"
    RETAINED_SNAPSHOT = "retained-snapshot"
    STORE_REFUSED = "store-refused"


class WireError(Exception):
    """Root of this package's errors."""


class PayloadError(WireError):
    """A payload that cannot be decoded; the whole message is refused."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class TopicError(WireError):
    """A topic outside the contract, or a name outside its grammar."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class SessionDown(WireError):  # noqa: N818  the name says what the caller does
    """No connection to the broker, or it ended before the broker acknowledged; nothing is known to be delivered."""


class SessionRefused(SessionDown):
    """The broker answered and refused us; the message says what to do."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        #: MQTT 5 reason code, e.g. 0x87 not authorised.
        self.code = code


class OutboxError(WireError):
    """The outbox on disk does not work; the message says what to do."""


class OutboxFull(OutboxError):  # noqa: N818  the name says what the caller does
    """The outbox is full and its policy is to keep what it has."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the settings; ``str()`` is the line shown to people."""

    #: ``iothub.toml``, or the name of an environment variable.
    file: Path | str
    #: 1-based; None where the source has no lines.
    line: int | None
    #: Dotted, e.g. ``mqtt.port``; empty when the whole source is meant.
    key: str
    value: object
    #: What is wrong and what is allowed, one sentence.
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line is not None else f"{self.file}"
        if not self.key:
            return f"{place}: {self.message}"
        value = str(self.value).lower() if isinstance(self.value, bool) else repr(self.value)
        shown = f" = {value}" if self.value is not None else ""
        return f"{place}: {self.key}{shown}: {self.message}"


class SettingsError(WireError):
    """Wrong settings; ``problems`` holds every one found, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = tuple(problems)
