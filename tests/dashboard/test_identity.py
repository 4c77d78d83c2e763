"""Who is at the other end of a cookie: asked, remembered, forgotten."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from dashboard.client import Client
from dashboard.errors import ApiAway, SignedOut
from dashboard.identity import Identities, Identity
from tests.support.problems import Answering, problem

if TYPE_CHECKING:
    from collections.abc import Iterator

SAID = {"user": "ann", "role": "operator", "scope": "full"}


class Seconds:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def hub() -> Iterator[Answering]:
    with Answering() as answering:
        answering.answers["/api/v1/token"] = (200, SAID)
        yield answering


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def identities(hub: Answering, seconds: Seconds) -> Iterator[Identities]:
    with Client(hub.url) as client:
        yield Identities(client, seconds)


def test_the_api_is_asked_once_in_some_seconds(hub: Answering, identities: Identities, seconds: Seconds) -> None:
    assert identities.of("t") == Identity("ann", "operator", "full", "t")
    seconds.now_s += 9
    identities.of("t")
    assert len(hub.requests) == 1
    seconds.now_s += 2
    identities.of("t")
    assert len(hub.requests) == 2
    assert hub.requests[0].headers["authorization"] == "Bearer t"


def test_each_token_is_asked_for(hub: Answering, identities: Identities) -> None:
    identities.of("t")
    identities.of("u")
    assert [request.headers["authorization"] for request in hub.requests] == ["Bearer t", "Bearer u"]


def test_a_changed_role_is_seen_after_some_seconds(hub: Answering, identities: Identities, seconds: Seconds) -> None:
    identities.of("t")
    hub.answers["/api/v1/token"] = (200, SAID | {"role": "viewer"})
    seconds.now_s += 11
    assert identities.of("t").role == "viewer"


def test_while_the_api_is_away_who_was_known_stays_known(
    hub: Answering, identities: Identities, seconds: Seconds
) -> None:
    known = identities.of("t")
    hub.stop()
    seconds.now_s += 3600
    assert identities.of("t") == known
    with pytest.raises(ApiAway):
        identities.of("another")


def test_while_the_api_is_away_nobody_stays_known_for_ever(
    hub: Answering, identities: Identities, seconds: Seconds
) -> None:
    identities.of("t")
    hub.stop()
    seconds.now_s += 13 * 3600
    with pytest.raises(ApiAway):
        identities.of("t")


def test_who_is_signed_out_is_forgotten(hub: Answering, identities: Identities, seconds: Seconds) -> None:
    identities.of("t")
    hub.answers["/api/v1/token"] = (401, problem("no-token", "Sign in."))
    seconds.now_s += 11
    with pytest.raises(SignedOut):
        identities.of("t")
    hub.stop()
    with pytest.raises(ApiAway):
        identities.of("t")


def test_who_logs_out_is_asked_for_anew(hub: Answering, identities: Identities) -> None:
    identities.of("t")
    identities.forget("t")
    identities.of("t")
    assert len(hub.requests) == 2
    identities.forget("never heard of")


def test_several_threads_may_ask(identities: Identities) -> None:
    found: list[Identity] = []
    threads = [threading.Thread(target=lambda: found.append(identities.of("t"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.user for one in found] == ["ann"] * 8


@pytest.mark.parametrize(
    ("role", "scope", "operates", "changes"),
    [
        ("viewer", "full", False, False),
        ("operator", "read", False, False),
        ("operator", "operate", True, False),
        ("operator", "full", True, False),
        ("admin", "read", False, False),
        ("admin", "operate", True, False),
        ("admin", "full", True, True),
    ],
)
def test_role_and_scope_decide_what_is_offered(role: str, scope: str, operates: bool, changes: bool) -> None:  # noqa: FBT001  a table
    who = Identity("ann", role, scope, "t")
    assert (who.may_operate, who.may_change) == (operates, changes)
