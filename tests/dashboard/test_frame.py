"""What is around every page: live parts and how often, pause, tabs, a lost API that is looked for, failed actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard.client import Client
from dashboard.errors import ApiAway
from tests.support.apps import drawing, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LIVE = """
import streamlit as st
from dashboard.frame import live, live_every
live(st.write, "often")
live_every(60, st.write, "seldom")
"""
_TABS = """
import streamlit as st
from dashboard.frame import tabs
for name, (tab, is_open) in zip("ab", tabs(["a", "b"], "which")):
    if is_open:
        tab.write(f"asked for {name}")
"""
_AWAY = """
import streamlit as st
from dashboard.errors import ApiAway
from dashboard.frame import said
with said():
    st.session_state["drawn"] = st.session_state.get("drawn", 0) + 1
    if st.session_state["drawn"] == 1:
        raise ApiAway("Nobody answers.")
    st.write("all is well")
"""
_ACT = """
import streamlit as st
from dashboard.frame import act
st.write(f"answer: {act('POST', '/nodes', {})}")
"""


@pytest.fixture(autouse=True)
def _nobody_there(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with drawing(monkeypatch, "http://127.0.0.1:1", "a token"):
        yield


def drawn(script: str, **state: object) -> AppTest:
    app = AppTest.from_string(script, default_timeout=60)
    for name, value in state.items():
        app.session_state[name] = value
    app.run()
    assert not app.exception, app.exception
    return app


@pytest.fixture
def periods(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """How often each fragment is drawn anew, in seconds."""
    found: list[float | None] = []
    original = st.fragment

    def noted(part: Callable[[], None], *, run_every: float | None = None) -> Any:
        found.append(run_every)
        return original(part, run_every=run_every)

    monkeypatch.setattr(st, "fragment", noted)
    return found


def test_live_parts_are_drawn_anew_in_the_time_that_is_set_large_ones_less_often(
    periods: list[float | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IOTHUB_DASHBOARD_REFRESH", "5")
    app = drawn(_LIVE)
    assert periods == [5.0, 60.0]
    assert words(app).count("As of") == 2


def test_paused_live_parts_stand_still(periods: list[float | None]) -> None:
    app = drawn(_LIVE, paused=True)
    assert periods == [None, None]
    assert "often" in words(app)


def test_only_the_tab_that_is_open_is_drawn() -> None:
    assert "asked for a" in words(drawn(_TABS))
    assert "asked for b" not in words(drawn(_TABS))
    other = words(drawn(_TABS, which="b"))
    assert "asked for b" in other
    assert "asked for a" not in other


def test_a_page_that_stands_still_looks_for_the_api_and_is_drawn_anew_once_it_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = iter([ApiAway("still away"), ApiAway("still away"), {"status": "ok"}])
    looks: list[float | None] = []

    def health(_client: Client, _token: str) -> object:
        answer = next(answers)
        if isinstance(answer, ApiAway):
            raise answer
        return answer

    def at_once(look: Callable[[], None], *, run_every: float) -> Callable[[], None]:
        """Streamlit, without the time between: the first drawing and three looks."""

        def run() -> None:
            for _ in range(4):
                looks.append(run_every)
                look()

        return run

    monkeypatch.setattr(Client, "health", health)
    monkeypatch.setattr("dashboard.frame.viewer", lambda: type("Who", (), {"token": "a token"}))
    monkeypatch.setattr(st, "fragment", at_once)
    app = drawn(_AWAY)
    assert looks == [2.0] * 4
    assert app.session_state["drawn"] == 2
    assert words(app) == "all is well"


def test_an_action_that_got_no_answer_is_not_said_to_be_tried_again() -> None:
    app = drawn(_ACT)
    assert "answer: None" in words(app)
    assert "Whether it was done is not known" in app.error[0].value
    assert "tries again" not in app.error[0].value
