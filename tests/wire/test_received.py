"""What a request is known by: the same to the node that answers and to the hub that writes it down."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.received import Known, known
from wire.topics import Topics, check_name

TOPICS = Topics()
HERE = "iot/v1/n1/reply/me"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("body_id", "response_topic", "correlation_data", "expected"),
    [
        ("a", HERE, b"c", Known("a", HERE)),
        (None, HERE, b"c", Known("c", HERE)),
        (None, HERE, None, Known("me", HERE, shared=True)),
        (None, HERE, b"", Known("me", HERE, shared=True)),
        (None, None, b"c", Known("c", None)),
        (None, None, None, Known(None, None)),
        ("a/b", HERE, None, Known("me", HERE, shared=True)),
        ("a/b", None, b"c", Known("c", None)),
        ("a", "iot/v1/n2/reply/me", None, Known("a", None)),
        ("a", "iot/v1/n1/cmd/ping", None, Known("a", None)),
        ("a", "$CONTROL/dynamic-security/v1", None, Known("a", None)),
        (None, "iot/v1/n1/reply/+", None, Known(None, None)),
        (None, "iot/v1/n1/reply/" + 129 * "x", None, Known(None, None)),
        (None, None, b"a/b", Known(digest(b"a/b"), None)),
        (None, None, b"\xff\xfe", Known(digest(b"\xff\xfe"), None)),
        (None, None, b"\xc2\x85", Known(digest(b"\xc2\x85"), None)),
        (None, None, 65_535 * b"x", Known(digest(65_535 * b"x"), None)),
    ],
)
def test_the_id_is_the_bodys_else_the_correlation_data_else_the_response_topics(
    body_id: str | None, response_topic: str | None, correlation_data: bytes | None, expected: Known
) -> None:
    assert known(TOPICS, "n1", body_id, response_topic, correlation_data) == expected


@given(st.none() | st.text(max_size=140), st.none() | st.text(max_size=60), st.none() | st.binary(max_size=200))
def test_whatever_a_request_says_its_id_fits_a_topic(body_id: str | None, end: str | None, data: bytes | None) -> None:
    found = known(TOPICS, "n1", body_id, None if end is None else f"iot/v1/n1/reply/{end}", data)
    if found.id is not None:
        assert TOPICS.parse(TOPICS.reply("n1", check_name(found.id, "id"))).name == found.id
    assert found.topic is None or TOPICS.parse(found.topic).node == "n1"


@given(st.binary(min_size=1, max_size=50), st.binary(min_size=1, max_size=50))
def test_requests_with_other_correlation_data_have_other_ids(one: bytes, other: bytes) -> None:
    ids = [known(TOPICS, "n1", None, HERE, data).id for data in (one, other)]
    assert (ids[0] == ids[1]) is (one == other)
