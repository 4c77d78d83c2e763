"""The store does not answer or cannot write: the broker holds what comes, and the hub's memory is flat."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.load import Load
from tests.support.faults import FAULTY, SCALE, Rig, recent_ms
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

#: In the long run of these tests.
STALLED_S = 60.0
IN_FLIGHT = 5000
#: What one read of the socket may bring on top: a buffer of 1 MiB full of small messages.
ONE_READ = 10_000
#: The broker may send far more than the hub wants to hold, so that what bounds memory is that it does not read.
BOUNDS = {"IOTHUB_INGEST__MAX_IN_FLIGHT_MESSAGES": str(IN_FLIGHT), "IOTHUB_INGEST__RECEIVE_MAX": "60000"}


def test_memory_stays_flat_while_the_store_stands_still_and_nothing_is_lost(tmp_path: Path) -> None:
    first_ms, stalled = recent_ms(), tmp_path / "stalled"
    fills = Load(messages=4 * IN_FLIGHT, topics=100, first_ms=first_ms)
    backlog = Load(messages=60_000 * min(SCALE, 10), topics=100, first_ms=first_ms, first_topic=100, values=1)
    with Rig(tmp_path, settings={"FAULT": f"slow:{stalled}", **BOUNDS}, program=FAULTY) as rig:
        stalled.touch()
        began_s = time.monotonic()
        rig.publish(fills)
        wait_until(lambda: rig.hub.metric("iothub_in_flight_messages") >= IN_FLIGHT, what="the hub reads no more")
        before_bytes = rig.hub.rss_bytes()
        rig.publish(backlog)
        assert rig.hub.metric("iothub_in_flight_messages") <= IN_FLIGHT + ONE_READ
        assert rig.hub.metrics()['iothub_messages_total{outcome="stored"}'] == 0, "nothing counts before it is durable"
        assert rig.hub.rss_bytes() - before_bytes < 20 << 20
        if SCALE == 1:
            assert rig.hub.health()["status"] == "ok", "a few seconds are no fault"
        else:
            wait_until(lambda: time.monotonic() - began_s > STALLED_S, STALLED_S)
            assert rig.hub.health()["broken"] == ["link"], "half a minute is one"
            assert rig.hub.rss_bytes() - before_bytes < 20 << 20

        stalled.unlink()
        rig.settle(60 * SCALE)
        assert rig.hub.rss_bytes() - before_bytes < 200 << 20
        books = rig.check(fills, backlog)
    assert books.total("stored") == fills.messages + backlog.messages + 1


def test_a_store_that_cannot_write_is_said_once_and_its_messages_wait_at_the_broker(tmp_path: Path) -> None:
    load, refusing = Load(messages=2000, topics=10, first_ms=recent_ms()), tmp_path / "refusing"
    with Rig(tmp_path, settings={"FAULT": f"refuse:{refusing}"}, program=FAULTY) as rig:
        refusing.touch()
        rig.publish(load)
        wait_until(lambda: rig.hub.health()["broken"] == ["store"], what="health names the store")
        links = {link["name"]: link["detail"] for link in rig.hub.health()["links"]}
        assert links["store"] == "the test's store takes no write now"
        # Beside them wait a few figures that the broker says about itself.
        assert load.messages <= rig.hub.metric("iothub_in_flight_messages") <= load.messages + 20
        rig.hub.kill()  # what is not stored must still be with the broker

        rig.hub.start()
        wait_until(lambda: rig.hub.health()["broken"] == ["store"], what="it came again")
        refusing.unlink()
        rig.settle()
        assert rig.hub.health()["status"] == "ok"
        assert rig.hub.said().count("cannot store, trying again") == 2, "once a run"
        assert "storing again" in rig.hub.said()
        rig.check(load)
