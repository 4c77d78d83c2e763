"""Whatever comes: each value is kept, converted, parked or refused, and no neighbour is harmed."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.support.guards import check, exact, make, store
from wire.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wire.point import Value

_values = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.sampled_from(["", "1", "-0", "1e999", "true", "false", "NaN", "9007199254740993", "x"]),
    st.text(max_size=3),
)
_fields = st.dictionaries(
    st.sampled_from(["a", "b", "a_text", "a_num", "b_text", "c"]), _values, min_size=1, max_size=5
)


@given(st.lists(_fields, max_size=8), st.integers(1, 8))
def test_each_value_is_kept_converted_parked_or_refused_and_no_neighbour_is_harmed(
    messages: list[dict[str, Value]], limit: int
) -> None:
    guard = make(series_per_node=limit)
    types: dict[str, type] = {}
    for fields in messages:
        checked = check(guard, fields)
        kept = checked.point.fields if checked.point is not None else {}
        assert len(kept) + len(checked.refused) == len(fields)
        assert {r.reason for r in checked.refused} <= {Reason.SERIES_LIMIT, Reason.TYPE_CLASH}
        for name, value in fields.items():
            if types.get(name) is type(value):
                assert exact(kept)[name] == (type(value), value), "what fits is kept as it came"
        for name, value in kept.items():
            assert types.setdefault(name, type(value)) is type(value), "a series never changes its type"
            assert not isinstance(value, float) or math.isfinite(value)
            origins = (came for field, came in fields.items() if name in (field, f"{field}_text", f"{field}_num"))
            assert any(exact({"": form}) == exact({"": value}) for came in origins for form in _forms(came))
        assert len(types) <= limit


def _forms(came: Value) -> Iterator[Value]:
    """A value, and what it exactly is as another type."""
    yield came
    if isinstance(came, bool):
        yield from (float(came), str(came).lower())
    elif isinstance(came, float):
        yield from (bool(came) for _ in range(came in (0.0, 1.0)))
    else:
        yield from ({"true": True, "false": False}[came] for _ in range(came in ("true", "false")))
        with contextlib.suppress(ValueError):
            yield float(came)


@given(st.lists(_fields, max_size=6), st.integers(1, 6))
def test_a_message_that_is_delivered_again_gives_the_same_points(messages: list[dict[str, Value]], limit: int) -> None:
    guard = make(series_per_node=limit)
    for fields in messages:
        assert exact(store(guard, fields)) == exact(store(guard, fields))
