"""What waits for a channel: the pauses between tries, and that one message blocks no other."""

from __future__ import annotations

from hub.alerts.notify_model import Occasion
from hub.alerts.notify_queue import Message, Outcome, Queue, RetryLimits
from hub.rules.events import Severity
from tests.support.notifying import ns

LIMITS = RetryLimits(first_ns=ns(5), most_ns=ns(600), give_up_ns=ns(3600), queue=3)


def message(number: int, created_s: float = 0) -> Message:
    return Message(
        id=str(number),
        channel="ops",
        route="all",
        occasion=Occasion.FIRING,
        severity=Severity.WARNING,
        title="",
        body="",
        alerts=(number,),
        created_ns=ns(created_s),
    )


def test_the_pause_doubles_up_to_the_longest() -> None:
    assert [LIMITS.pause_ns(n) // ns(1) for n in (1, 2, 3, 7, 8, 1000)] == [5, 10, 20, 320, 600, 600]


def test_a_channel_that_fails_waits_and_is_tried_again() -> None:
    queue, first = Queue(LIMITS), message(1)
    queue.put([first], 0)
    assert queue.take(0) is first
    assert not queue.failed(first, "refused", 0)
    assert (queue.take(ns(4)), queue.next_ns(), queue.error) == (None, ns(5), "refused")
    assert queue.take(ns(5)) is first
    queue.succeeded(first, ns(5))
    assert (len(queue), queue.error, queue.failing_since_ns, first.outcome) == (0, "", None, Outcome.SENT)


def test_a_message_that_is_refused_lets_others_go_first() -> None:
    queue, bad, good = Queue(LIMITS), message(1), message(2, 1)
    queue.put([bad, good], 0)
    queue.failed(bad, "too long", 0)
    assert queue.take(ns(5)) is good
    queue.succeeded(good, ns(5))
    assert queue.take(ns(5)) is bad


def test_what_fails_for_too_long_is_given_up() -> None:
    queue, first = Queue(LIMITS), message(1)
    queue.put([first], 0)
    assert not queue.failed(first, "refused", ns(3599))
    assert queue.failed(first, "refused", ns(3600))
    assert (len(queue), first.outcome, first.done_ns) == (0, Outcome.FAILED, ns(3600))


def test_the_oldest_goes_when_too_many_wait_and_says_why() -> None:
    queue = Queue(LIMITS)
    assert queue.put([message(n) for n in (1, 2, 3)], 0) == []
    (gone,) = queue.put([message(4)], ns(1))
    assert (gone.id, gone.outcome) == ("1", Outcome.FAILED)
    assert gone.error == "more than 3 messages waited for this channel"
    assert len(queue) == 3


def test_it_knows_which_alerts_its_messages_are_about() -> None:
    queue = Queue(LIMITS)
    sent, refused, late, newest = message(1), message(1), message(2), message(3)
    sent.id, refused.id = "a", "b"
    queue.put([sent, refused, late], 0)
    queue.put([late], 0)
    queue.succeeded(sent, 0)
    assert queue.is_about(1), "another message about it waits"
    assert queue.failed(refused, "refused", ns(4000))
    assert (queue.is_about(1), queue.is_about(2), queue.is_about(3)) == (False, True, False)
    queue.put([newest, message(4), message(5)], 0)
    assert (queue.is_about(2), queue.is_about(3)) == (False, True), "the oldest had to go"
