"""The client of the API: what it asks, and what it says when the answer is no or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from dashboard.client import Client
from dashboard.errors import ApiAway, Refused, SignedOut
from tests.support.problems import Answering, problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def hub() -> Iterator[Answering]:
    with Answering() as answering:
        yield answering


@pytest.fixture
def client(hub: Answering) -> Iterator[Client]:
    with Client(hub.url) as made:
        yield made


def test_the_token_goes_with_each_call_and_what_is_none_stays_away(hub: Answering, client: Client) -> None:
    hub.answers["/api/v1/nodes"] = (200, {"items": []})
    client.get("/nodes", "t", {"node": "a b", "group": None})
    (asked,) = hub.requests
    assert asked.headers["authorization"] == "Bearer t"
    assert asked.params == {"node": "a b"}


def test_lists_are_read_page_by_page(hub: Answering, client: Client) -> None:
    pages = [{"items": [{"n": 1}, {"n": 2}], "next": "p2"}, {"items": [{"n": 3}], "next": None}]
    hub.answers["/api/v1/nodes"] = (200, pages)
    assert [one["n"] for one in client.items("/nodes", "t")] == [1, 2, 3]
    assert [asked.params.get("page") for asked in hub.requests] == [None, "p2"]


def test_no_more_is_read_than_wanted(hub: Answering, client: Client) -> None:
    hub.answers["/api/v1/nodes"] = (200, [{"items": [{"n": 1}, {"n": 2}], "next": "p2"}])
    assert [one["n"] for one in client.items("/nodes", "t", most=2)] == [1, 2]
    assert hub.requests[0].params["limit"] == "2"


def test_a_body_is_sent_and_an_empty_answer_is_an_empty_document(hub: Answering, client: Client) -> None:
    hub.answers["/api/v1/x"] = (200, b"")
    assert client.post("/x", "t", {"a": 1}) == {}
    assert client.put("/x", "t", {"a": 2}) == {}
    client.delete("/x", "t", {"n": 1})
    assert [(asked.method, asked.body) for asked in hub.requests] == [
        ("POST", {"a": 1}),
        ("PUT", {"a": 2}),
        ("DELETE", None),
    ]


def test_other_forms_are_asked_for_by_name(hub: Answering, client: Client) -> None:
    hub.answers["/api/v1/query"] = (200, b"\x00arrow")
    assert client.bytes_of("/query", "t", None, "application/x") == b"\x00arrow"
    assert hub.requests[0].headers["accept"] == "application/x"


def test_a_problem_is_said_in_its_words_with_all_its_faults(hub: Answering, client: Client) -> None:
    faults = [{"where": "body.a", "message": "wrong"}, {"where": "body.b", "message": "missing"}]
    hub.answers["/api/v1/x"] = (422, problem("wrong-body", "body.a: wrong", errors=faults))
    with pytest.raises(Refused, match=r"^body\.a: wrong; body\.b: missing$") as caught:
        client.get("/x", "t")
    assert (caught.value.status, caught.value.kind) == (422, "wrong-body")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"title": "Too much"}, "Too much"),
        ({}, "Internal Server Error"),
        ({"detail": None, "errors": None, "title": ""}, "Internal Server Error"),
        (b"<html>oops</html>", "The hub answered 500 Internal Server Error."),
        (b"[1]", "The hub answered 500 Internal Server Error."),
        (b"", "The hub answered 500 Internal Server Error."),
    ],
)
def test_other_errors_are_said_as_well_as_can_be(hub: Answering, client: Client, answer: Any, said: str) -> None:
    hub.answers["/api/v1/x"] = (500, answer)
    with pytest.raises(Refused) as caught:
        client.get("/x", "t")
    assert (str(caught.value), caught.value.status) == (said, 500)


def test_a_token_that_is_not_known_any_more_is_signed_out(hub: Answering, client: Client) -> None:
    hub.answers["/api/v1/x"] = (401, problem("no-token", "No."))
    with pytest.raises(SignedOut):
        client.get("/x", "t")


def test_a_wrong_password_is_refused_and_not_signed_out(hub: Answering, client: Client) -> None:
    hub.answers["/api/v1/token"] = (401, problem("wrong-password", "Unknown user or wrong password."))
    with pytest.raises(Refused, match="wrong password"):
        client.log_in("ann", "x")


def test_nobody_answering_is_said_with_the_address(hub: Answering, client: Client) -> None:
    hub.stop()
    with pytest.raises(ApiAway, match=rf"^Nothing answers at {hub.url}; is the hub running\?"):
        client.get("/x", "t")


def test_no_answer_in_time_is_said(hub: Answering, client: Client) -> None:
    hub.may_answer.clear()
    client._http.timeout = httpx.Timeout(0.1)
    with pytest.raises(ApiAway, match="gave no answer in time"):
        client.get("/x", "t")


def test_a_broken_chain_is_an_answer(hub: Answering, client: Client) -> None:
    hub.answers["/health"] = (503, {"status": "broken", "broken": ["broker"], "links": []})
    assert client.health("t")["broken"] == ["broker"]


def test_figures_are_text_and_may_be_refused(hub: Answering, client: Client) -> None:
    hub.answers["/metrics"] = (200, b"n 1\n")
    assert client.metrics("t") == "n 1\n"
    hub.answers["/metrics"] = (403, problem("not-allowed", "Not for you."))
    with pytest.raises(Refused, match=r"Not for you\."):
        client.metrics("t")


def test_where_a_person_comes_from_is_told_with_the_secret_only(hub: Answering, tmp_path: Path) -> None:
    hub.answers["/api/v1/token"] = (200, {"token": "t"})
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n", encoding="utf-8")
    with Client(hub.url, proxy_token_file=secret) as knowing, Client(hub.url) as plain:
        knowing.log_in("ann", "x", "192.0.2.7")
        plain.log_in("ann", "x", "192.0.2.7")
    told, untold = (asked.headers for asked in hub.requests)
    assert (told["x-iothub-client"], told["x-iothub-proxy"]) == ("192.0.2.7", "s3cret")
    assert "x-iothub-client" not in untold


def test_without_the_file_of_the_secret_people_still_log_in(
    hub: Answering, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub.answers["/api/v1/token"] = (200, {"token": "t"})
    with Client(hub.url, proxy_token_file=tmp_path / "none") as client:
        assert client.log_in("ann", "x", "192.0.2.7") == {"token": "t"}
    assert "proxy_token_file cannot be read" in caplog.text
