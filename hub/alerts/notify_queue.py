"""Messages that wait for one channel, and when to try which again. Pure.

A failure makes the whole channel wait (it is down, as a rule) and the message itself for longer (it may be the message
that is refused): others go first, so that no message blocks those behind it.
"""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from hub.alerts.notify_model import Occasion
from hub.rules.events import Severity
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hub.config_notify import NotifySettings


class Outcome(enum.StrEnum):
    """What became of a message."""

    QUEUED = "queued"
    SENT = "sent"
    #: Given up: no try succeeded in time, or more waited than may.
    FAILED = "failed"


class Message(msgspec.Struct, kw_only=True):
    """One message for one channel."""

    id: str
    channel: str
    route: str
    occasion: Occasion
    severity: Severity
    title: str
    body: str
    #: Numbers of the alerts that it is about.
    alerts: tuple[int, ...]
    created_ns: int
    outcome: Outcome = Outcome.QUEUED
    #: Failed tries so far.
    failures: int = 0
    #: Why the last try failed; empty when none has.
    error: str = ""
    #: When it was sent or given up.
    done_ns: int | None = None


@dataclass(frozen=True, slots=True)
class RetryLimits:
    """How patient a channel is; see ``[notify]``."""

    first_ns: int
    most_ns: int
    give_up_ns: int
    queue: int

    @classmethod
    def of(cls, settings: NotifySettings) -> RetryLimits:
        return cls(
            first_ns=int(settings.retry_first * NS_PER_S),
            most_ns=int(settings.retry_most * NS_PER_S),
            give_up_ns=int(settings.give_up_after * NS_PER_S),
            queue=settings.queue,
        )

    def pause_ns(self, failures: int) -> int:
        """How long to wait after so many failures in a row."""
        return min(self.first_ns << min(failures - 1, 40), self.most_ns)


class Queue:
    """What waits for one channel."""

    def __init__(self, limits: RetryLimits) -> None:
        self._limits = limits
        #: Each with the time before which it is not tried.
        self._waiting: dict[str, tuple[int, Message]] = {}
        #: Alerts that these are about, and how many of them.
        self._about: Counter[int] = Counter()
        self._not_before_ns = 0
        #: Failures of this channel since it last took something.
        self.failures = 0
        #: Why the last one failed, and since when there is nothing but failures.
        self.error = ""
        self.failing_since_ns: int | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Message]:
        return (message for _, message in self._waiting.values())

    def is_about(self, alert: int) -> bool:
        """Whether a message about this alert waits."""
        return self._about[alert] > 0

    def put(self, messages: Iterable[Message], now_ns: int) -> list[Message]:
        """Add messages; returns those that had to go because too many wait."""
        for message in messages:
            self._drop(message.id)
            self._waiting[message.id] = (now_ns, message)
            self._about.update(message.alerts)
        gone = []
        while len(self._waiting) > self._limits.queue:
            oldest = next(iter(self))
            self._drop(oldest.id)
            why = f"more than {self._limits.queue} messages waited for this channel"
            gone.append(give_up(oldest, f"{why}; last: {oldest.error}" if oldest.error else why, now_ns))
        return gone

    def next_ns(self) -> int | None:
        """When something can be tried; None when nothing waits."""
        earliest = min((at_ns for at_ns, _ in self._waiting.values()), default=None)
        return max(earliest, self._not_before_ns) if earliest is not None else None

    def take(self, now_ns: int) -> Message | None:
        """What to try now: the message with the fewest failures, the oldest of these. It stays in the queue."""
        if now_ns < self._not_before_ns:
            return None
        ready = [message for at_ns, message in self._waiting.values() if at_ns <= now_ns]
        return min(ready, key=lambda message: (message.failures, message.created_ns), default=None)

    def succeeded(self, message: Message, now_ns: int) -> None:
        """Note that the channel took it."""
        self._drop(message.id)
        self._not_before_ns, self.failures, self.error, self.failing_since_ns = 0, 0, "", None
        message.outcome, message.done_ns = Outcome.SENT, now_ns

    def failed(self, message: Message, why: str, now_ns: int) -> bool:
        """Note that it did not; True when the message is given up."""
        self.failures += 1
        self.error = why
        self.failing_since_ns = self.failing_since_ns or now_ns
        self._not_before_ns = now_ns + self._limits.pause_ns(self.failures)
        message.failures += 1
        message.error = why
        if now_ns - message.created_ns >= self._limits.give_up_ns:
            self._drop(message.id)
            give_up(message, message.error, now_ns)
            return True
        if message.id in self._waiting:
            self._waiting[message.id] = (now_ns + self._limits.pause_ns(message.failures), message)
        return False

    def _drop(self, number: str) -> None:
        _, message = self._waiting.pop(number, (0, None))
        if message is not None:
            self._about -= Counter(message.alerts)


def give_up(message: Message, why: str, now_ns: int) -> Message:
    """Note that nothing more is tried."""
    message.outcome, message.error, message.done_ns = Outcome.FAILED, why, now_ns
    return message
