"""Lines of the broker's log, as Mosquitto 2.0.11 writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.denials import Denials

if TYPE_CHECKING:
    from collections.abc import Sequence

STAMP = "2026-11-22T02:37:41: "
ARRIVED = "New connection from 10.0.0.{0}:5012{0} on port 8883."
LET_IN = "New client connected from 10.0.0.{0}:5012{0} as dev{0} (p5, c1, k60, u'dev{0}')."
REFUSED = "Client <unknown> disconnected, not authorised."


def seen(*lines: str) -> tuple[Denials, list[str]]:
    kinds: list[str] = []
    denials = Denials(kinds.append, clock_ns=lambda: 1)
    for line in lines:
        denials.observe((STAMP + line).encode())
    return denials, kinds


@pytest.mark.parametrize(
    ("line", "kind", "client"),
    [
        (REFUSED, "credentials", ""),
        ("Client <unknown> disconnected due to protocol error.", "protocol", ""),
        ("Client dev1 disconnected due to malformed packet.", "protocol", "dev1"),
        ("Client dev1 disconnected due to oversize packet.", "size", "dev1"),
        ("Client <unknown> disconnected: Protocol error.", "tls", ""),
        ("Client connection from 10.0.0.7 failed: error:0A00009C:SSL routines::http request.", "tls", ""),
        ("Client dev1 already connected, closing old connection.", "takeover", "dev1"),
        ("Client a b: c disconnected, not authorised.", "credentials", "a b: c"),
    ],
)
def test_who_was_turned_away_is_counted_by_why(line: str, kind: str, client: str) -> None:
    denials, kinds = seen(line)
    assert kinds == [kind]
    assert (denials.newest[0].kind, denials.newest[0].client) == (kind, client)


@pytest.mark.parametrize(
    "line",
    [
        "Client dev1 disconnected.",
        "Client dev1 closed its connection.",
        "Client dev1 has exceeded timeout, disconnecting.",
        "Client dev1 disconnected due to administrative action.",
        "mosquitto version 2.0.11 running",
        "Reloading config.",
        "",
    ],
)
def test_other_lines_count_nobody(line: str) -> None:
    assert seen(line)[1] == []


def test_the_one_connection_that_was_not_let_in_is_named() -> None:
    denials, _ = seen(ARRIVED.format(1), LET_IN.format(1), ARRIVED.format(2), REFUSED)
    assert denials.newest[0].addresses == ("10.0.0.2:50122",)


def test_all_that_it_can_have_been_are_named() -> None:
    denials, _ = seen(ARRIVED.format(1), ARRIVED.format(2), ARRIVED.format(3), LET_IN.format(2), REFUSED)
    assert denials.newest[0].addresses == ("10.0.0.1:50121", "10.0.0.3:50123")


def test_a_flood_is_counted_in_full_and_kept_in_bounds() -> None:
    denials, kinds = seen(*[ARRIVED.format(1), REFUSED] * 3000)
    assert len(kinds) == 3000
    assert len(denials.newest) == 1000


@given(st.binary(max_size=200))
def test_no_line_breaks_it(payload: bytes) -> None:
    Denials(lambda _: None).observe(payload)


@given(st.lists(st.sampled_from([ARRIVED.format(1), LET_IN.format(1), REFUSED, "x"]), max_size=40))
def test_every_refusal_is_counted_once(lines: Sequence[str]) -> None:
    assert len(seen(*lines)[1]) == list(lines).count(REFUSED)
