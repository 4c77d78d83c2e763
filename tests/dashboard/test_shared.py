"""Answers shared by viewers: who asks the same at the same time causes one request."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from dashboard import fetch
from dashboard.errors import ApiAway, Refused
from dashboard.identity import Identity
from dashboard.names import REFRESH
from dashboard.session import client
from dashboard.shared import Shared
from tests.support.apps import drawing
from tests.support.problems import Answering, problem

if TYPE_CHECKING:
    from collections.abc import Iterator

FRESH_S = 2.0


class Seconds:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Source:
    """Counts how often it is asked; waits while ``may_answer`` is not set."""

    def __init__(self) -> None:
        self.count = 0
        self.asked, self.may_answer = threading.Event(), threading.Event()
        self.may_answer.set()
        self.error: Exception | None = None

    def __call__(self) -> int:
        self.count += 1
        self.asked.set()
        assert self.may_answer.wait(60)
        if self.error is not None:
            raise self.error
        return self.count


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def shared(seconds: Seconds) -> Iterator[Shared]:
    made = Shared(seconds)
    yield made
    made._pool.shutdown()


@pytest.fixture
def source() -> Source:
    return Source()


def test_ten_who_ask_at_once_cause_one_request(shared: Shared, source: Source) -> None:
    source.may_answer.clear()
    with ThreadPoolExecutor(10) as pool:
        answers = [pool.submit(shared.get, "key", FRESH_S, source) for _ in range(10)]
        assert source.asked.wait(60)
        source.may_answer.set()
        assert [answer.result(20) for answer in answers] == [1] * 10
    assert source.count == 1


def test_an_answer_is_shared_while_it_is_fresh_and_no_longer(shared: Shared, source: Source, seconds: Seconds) -> None:
    assert shared.get("key", FRESH_S, source) == 1
    seconds.now_s += 1.9
    assert shared.get("key", FRESH_S, source) == 1
    seconds.now_s += 0.2
    assert shared.get("key", FRESH_S, source) == 2


def test_other_questions_have_other_answers(shared: Shared, source: Source) -> None:
    assert [shared.get(key, FRESH_S, source) for key in ("a", "b", "a")] == [1, 2, 1]


def test_a_failure_is_told_to_all_who_waited_and_not_kept(shared: Shared, source: Source) -> None:
    source.may_answer.clear()
    source.error = ApiAway("away")
    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(shared.get, "key", FRESH_S, source) for _ in range(3)]
        assert source.asked.wait(60)
        source.may_answer.set()
        assert all(isinstance(answer.exception(20), ApiAway) for answer in answers)
    source.error = None
    assert isinstance(shared.get("key", FRESH_S, source), int)


def test_what_was_asked_ahead_is_there(shared: Shared, source: Source) -> None:
    shared.ahead("key", FRESH_S, source)
    assert shared.get("key", FRESH_S, lambda: 99) == 1
    shared.ahead("key", FRESH_S, source)
    assert source.count == 1


def test_what_failed_ahead_is_told_to_who_needs_it_or_asked_again(shared: Shared, source: Source) -> None:
    source.may_answer.clear()
    source.error = Refused("no", 403)
    shared.ahead("key", FRESH_S, source)
    with ThreadPoolExecutor(1) as pool:
        needed = pool.submit(shared.get, "key", FRESH_S, source)
        assert source.asked.wait(60)
        source.may_answer.set()
        assert isinstance(needed.exception(20), Refused)


def test_after_a_change_answers_are_fresh(shared: Shared, source: Source) -> None:
    shared.get("key", FRESH_S, source)
    shared.forget()
    assert shared.get("key", FRESH_S, source) == 2


def test_who_waits_while_all_is_forgotten_still_gets_the_answer(shared: Shared, source: Source) -> None:
    source.may_answer.clear()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(shared.get, "key", FRESH_S, source)
        assert source.asked.wait(60)
        shared.forget()
        source.may_answer.set()
        assert waiting.result(20) == 1
    assert shared.get("key", FRESH_S, source) == 2, "an answer from before the change is not shared after it"


def test_old_answers_do_not_pile_up(shared: Shared, seconds: Seconds) -> None:
    for number in range(2_000):
        shared.get(number, FRESH_S, lambda: 0)
    assert len(shared._entries) <= 501
    seconds.now_s += 61
    shared.get("new", FRESH_S, lambda: 0)
    assert len(shared._entries) == 1


# -- over HTTP ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    with Answering() as answering:
        answering.answers["/api/v1/nodes"] = (200, {"items": [{"node": "a"}], "next": None})
        answering.answers["/metrics"] = (200, b"n 5\n")
        monkeypatch.setenv(REFRESH, "60")
        with drawing(monkeypatch, answering.url, "t"):
            yield answering


class Viewers:
    """Who looks, by thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._local = threading.local()
        monkeypatch.setattr(fetch, "viewer", self)

    def __call__(self) -> Identity:
        who: Identity = getattr(self._local, "who", Identity("ann", "viewer", "full", "t"))
        return who

    def items(self, who: Identity) -> list[dict[str, object]]:
        self._local.who = who
        return fetch.items("/nodes")


def test_ten_viewers_of_one_user_cause_one_request(hub: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    viewers = Viewers(monkeypatch)
    fetch._shared(), client()
    hub.may_answer.clear()
    with ThreadPoolExecutor(10) as pool:
        answers = [
            pool.submit(viewers.items, Identity("ann", "viewer", "full", f"session {number}")) for number in range(10)
        ]
        assert hub.was_asked.wait(60)
        hub.may_answer.set()
        assert [answer.result(20) for answer in answers] == [[{"node": "a"}]] * 10
    assert [asked.path for asked in hub.requests] == ["/api/v1/nodes"]


def test_users_share_nothing_with_users_of_other_rights(hub: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    viewers = Viewers(monkeypatch)
    for who in (
        Identity("ann", "viewer", "full", "a"),
        Identity("bob", "viewer", "full", "b"),
        Identity("ann", "admin", "full", "c"),
    ):
        viewers.items(who)
    assert [asked.headers["authorization"] for asked in hub.requests] == ["Bearer a", "Bearer b", "Bearer c"]


def test_parameters_in_another_order_or_none_are_the_same_question(
    hub: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    Viewers(monkeypatch)
    fetch.items("/nodes", {"a": 1, "b": 2, "c": None})
    fetch.items("/nodes", {"b": 2, "a": 1})
    fetch.items("/nodes", {"b": 3, "a": 1})
    assert len(hub.requests) == 2


def test_what_is_asked_ahead_is_not_asked_again(hub: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    Viewers(monkeypatch)
    fetch.ahead([fetch.of_items("/nodes"), fetch.of_reading()])
    assert fetch.items("/nodes") == [{"node": "a"}]
    assert fetch.reading().figures == {"n": 5.0}
    assert sorted(asked.path for asked in hub.requests) == ["/api/v1/nodes", "/metrics"]


def test_a_refusal_is_not_kept(hub: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    Viewers(monkeypatch)
    hub.answers["/api/v1/nodes"] = (403, problem("not-allowed", "Not for you."))
    with pytest.raises(Refused, match="Not for you"):
        fetch.items("/nodes")
    hub.answers["/api/v1/nodes"] = (200, {"items": [], "next": None})
    assert fetch.items("/nodes") == []
