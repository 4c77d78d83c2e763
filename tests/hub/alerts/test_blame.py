from __future__ import annotations

import pytest
from msgspec.structs import replace

from hub.alerts.blame import Facts, blame
from hub.alerts.model import BrokenLink
from hub.nodes.model import Contact
from tests.support.alerting import T0, S

#: All is well but for a series that was heard a minute ago; what else its node sends comes every second.
FACTS = Facts(
    node="boiler",
    contact=Contact.ONLINE,
    node_heard_ns=T0 - S,
    others_heard_ns=(T0 - S, T0 - 2 * S),
    series_heard_ns=T0 - 60 * S,
    link_trouble="",
    store_trouble="",
    waiting_s=0.0,
)


@pytest.mark.parametrize(
    ("changed", "link", "says"),
    [
        ({}, BrokenLink.SENSOR, "other values of boiler still come, the last 1 s ago"),
        (
            {"contact": Contact.OFFLINE, "reason": "connection lost"},
            BrokenLink.AGENT,
            "boiler is offline (connection lost), last heard 1 s ago",
        ),
        ({"contact": Contact.SILENT}, BrokenLink.AGENT, "boiler is silent"),
        ({"node_heard_ns": T0 - 60 * S}, BrokenLink.AGENT, "nothing of boiler comes, last heard 60 s ago"),
        (
            {"node_heard_ns": T0 - 60 * S, "others_heard_ns": (T0 - 60 * S, T0 - 61 * S)},
            BrokenLink.BROKER,
            "nothing comes of any node, the last 60 s ago",
        ),
        (
            {"link_trouble": "connection refused"},
            BrokenLink.BROKER,
            "the hub has no connection to the broker: connection refused",
        ),
        (
            {"waiting_s": 12.0, "store_trouble": "disk full"},
            BrokenLink.HUB,
            "the hub cannot store what arrives, for 12 s now: disk full",
        ),
    ],
)
def test_the_link_that_is_broken_is_named(changed: dict[str, object], link: BrokenLink, says: str) -> None:
    found, detail = blame(replace(FACTS, **changed), T0)
    assert found is link
    assert detail.startswith(says)


def test_a_node_that_is_alone_is_blamed_before_the_broker() -> None:
    alone = replace(FACTS, node_heard_ns=T0 - 60 * S, others_heard_ns=(T0 - 60 * S,))
    assert blame(alone, T0)[0] is BrokenLink.AGENT


def test_a_node_whose_will_came_is_blamed_also_while_the_hub_cannot_store() -> None:
    both = replace(FACTS, contact=Contact.OFFLINE, waiting_s=60.0)
    assert blame(both, T0)[0] is BrokenLink.AGENT
