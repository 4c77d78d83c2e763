from __future__ import annotations

from typing import TYPE_CHECKING

from hub.live import Live, MessageEvent, Outcome
from hub.outcomes import tell
from tests.support.hotpath import NOW_NS, Rig, Sent, status, telemetry
from tests.support.links import run
from wire.errors import Reason

if TYPE_CHECKING:
    from hub.group import Group


def told(group: Group, duplicates: set[int], lost: set[int]) -> list[MessageEvent]:
    """The events that somebody sees who looks on."""
    seen: list[MessageEvent] = []

    async def test() -> None:
        live = Live()
        async with live.subscribe() as stream:
            tell(live)(group, duplicates, lost)
            live.close()
            async for event in stream:
                assert isinstance(event, MessageEvent)
                seen.append(event)

    run(test)
    return seen


def decode() -> Group:
    group = Rig().decode(
        telemetry([{"a": float(i)} for i in range(9)]),
        telemetry({"b": 1}, node="n2", measurement="hall"),
        telemetry(b'{"a":NaN,"b":1}'),
        telemetry(b"junk"),
        status("online"),
        Sent("junk", b"xyz"),
    )
    group.first_ns = NOW_NS
    return group


def test_every_message_is_shown_with_what_became_of_it() -> None:
    events = told(decode(), {1}, set())
    assert [(e.topic, e.node, e.measurement, e.outcome) for e in events] == [
        ("iot/v1/n1/telemetry/room", "n1", "room", Outcome.STORED),
        ("iot/v1/n2/telemetry/hall", "n2", "hall", Outcome.DUPLICATE),
        ("iot/v1/n1/telemetry/room", "n1", "room", Outcome.STORED),
        ("iot/v1/n1/telemetry/room", "n1", None, Outcome.REFUSED),
        ("iot/v1/n1/telemetry/room", "n1", None, Outcome.REFUSED),
        ("junk", None, None, Outcome.REFUSED),
        ("iot/v1/n1/status", "n1", None, Outcome.HANDLED),
    ]
    assert [e.size_bytes for e in events][-2:] == [3, len(b'{"state": "online"}')]
    assert events[0].at_ns == NOW_NS


def test_a_refusal_says_why_and_whether_the_rest_was_stored() -> None:
    partial, whole, nobody = (e for e in told(decode(), set(), set()) if e.outcome is Outcome.REFUSED)
    assert (partial.reason, partial.detail) == (Reason.NOT_FINITE, "stored but for: not-finite: 'a' = nan")
    assert whole.reason is Reason.NOT_JSON
    assert whole.detail is not None
    assert whole.detail.endswith("starts with 'junk'")
    assert nobody.reason is Reason.UNKNOWN_TOPIC


def test_few_points_of_a_large_message_are_shown() -> None:
    assert [p.fields for p in told(decode(), set(), set())[0].points] == [{"a": float(i)} for i in range(5)]


def test_what_the_store_took_nothing_of_is_shown_as_refused_only() -> None:
    group = decode()
    message, node, points, _ = list(group.spans())[1]
    group.refuse(message, node, points[0].ts_ns, Reason.STORE_REFUSED, "no such table")
    shown = [e for e in told(group, set(), {1}) if e.node == "n2"]
    assert [(e.outcome, e.detail) for e in shown] == [(Outcome.REFUSED, "no such table")]


def test_while_nobody_looks_on_nothing_is_made() -> None:
    live = Live()
    live.publish = None  # type: ignore[method-assign,assignment]  # calling it would fail
    tell(live)(decode(), set(), set())
