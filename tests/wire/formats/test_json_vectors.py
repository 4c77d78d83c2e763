from __future__ import annotations

from tests.support import vectors
from wire.formats.base import Limits, context
from wire.formats.json import decode_json
from wire.point import NS_PER_MS

ARRIVAL_NS = 1_763_750_000_123_456_789


def test_thingsboards_flat_object_is_values_at_arrival() -> None:
    payload, _ = vectors.vector("thingsboard-01")
    (point,) = decode_json(payload, context("n1", "m", Limits()), ARRIVAL_NS).points
    assert point.ts_ns == ARRIVAL_NS
    assert point.fields == {
        "stringKey": "value1",
        "booleanKey": True,
        "doubleKey": 42.0,
        "longKey": 73.0,
        "jsonKey.someNumber": 42.0,
        "jsonKey.someArray.0": 1.0,
        "jsonKey.someArray.1": 2.0,
        "jsonKey.someArray.2": 3.0,
        "jsonKey.someNestedObject.key": "value",
    }


def test_thingsboards_ts_and_values_are_values_at_that_time() -> None:
    payload, expected = vectors.vector("thingsboard-03")
    (point,) = decode_json(payload, context("n1", "m", Limits()), ARRIVAL_NS).points
    assert point.ts_ns == expected["ts_ms"] * NS_PER_MS
    assert point.fields == expected["points"]


def test_no_vector_of_thingsboard_devices_is_left_out() -> None:
    of_its_gateways = {"thingsboard-05", "thingsboard-08"}  # several devices in one message: a gateway's work
    assert vectors.ids("thingsboard") - of_its_gateways == {"thingsboard-01", "thingsboard-03"}
