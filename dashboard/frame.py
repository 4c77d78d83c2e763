"""What every page has around it: errors in words, the time they are as of, the pause switch, who is signed in."""

from __future__ import annotations

import contextlib
import itertools
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, ParamSpec
from zoneinfo import ZoneInfo

import streamlit as st

from dashboard import fetch
from dashboard.data.zones import zone_or_utc
from dashboard.errors import ApiAway, Refused, SignedOut
from dashboard.session import PAUSED, client, refresh_s, run_every, viewer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from streamlit.delta_generator import DeltaGenerator

    from dashboard.client import Document
    from dashboard.identity import Identity


P = ParamSpec("P")


@contextlib.contextmanager
def said(*, again: bool = True, away: str = "This page tries again by itself.") -> Iterator[None]:
    """Show what went wrong in place of what is inside.

    Args:
        again: draw the whole page anew once the API answers; live parts do so by themselves.
        away: what is said after that the API does not answer.
    """
    try:
        yield
    except SignedOut as error:
        st.warning(f"{error} [Log in again](/login)", icon=":material/logout:")
    except ApiAway as error:
        st.error(f"{error} {away}", icon=":material/cloud_off:")
        if again:
            st.fragment(_again(), run_every=refresh_s())()
    except Refused as error:
        st.error(str(error), icon=":material/block:")


def _again() -> Callable[[], None]:
    """Looks for the API each time but the first, which is while the page is drawn; draws it anew once it answers."""
    looks = itertools.count()

    def look() -> None:
        if not next(looks):
            return
        try:
            client().health(viewer().token)
        except ApiAway:
            return
        except SignedOut:
            pass  # the page says so
        st.rerun()

    return look


def live(draw: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """Draw ``draw`` now and every few seconds on its own, without the rest of the page, unless paused."""
    live_every(0.0, draw, *args, **kwargs)


def live_every(least_s: float, draw: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """As :func:`live`, at most once in ``least_s`` seconds: for what is large."""
    period_s = run_every()

    def guarded() -> None:
        with st.container(key=f"{guarded.__name__} {'seldom' if least_s else 'often'}"):  # for _STYLE
            with said(again=period_s is None):
                draw(*args, **kwargs)
            st.caption(f"As of {datetime.now(ZoneInfo(zone_or_utc(st.context.timezone))):%H:%M:%S}")

    # A name of its own for each part: Streamlit tells fragments apart by the function.
    guarded.__qualname__ = guarded.__name__ = f"live_{draw.__module__}_{draw.__qualname__}"
    st.fragment(guarded, run_every=max(period_s, least_s) if period_s is not None else None)()


def tabs(names: Sequence[str], key: str) -> list[tuple[DeltaGenerator, bool]]:
    """Tabs, each with whether it is open: what nobody looks at need not be asked for."""
    return [(tab, bool(tab.open)) for tab in st.tabs(names, key=key, on_change="rerun")]


def act(method: str, path: str, body: Mapping[str, Any] | None = None) -> Document | None:
    """Do something for the viewer; what goes wrong is said and gives None. Later looks are at fresh answers."""
    answer: Document | None = None
    with said(again=False, away="Whether it was done is not known: look before you do it again."):
        response = client().send(method, path, viewer().token, json=body)
        fetch.forget()
        answer = response.json() if response.content else {}
    return answer  # noqa: RET504  what is inside may end early


#: Less room around the page, headings below its own, figures that fit their boxes, a ring around what the keyboard is
#: at, a button that looks like the others. Live parts do not fade while they are drawn anew, and charts do not jump:
#: Streamlit builds the new one before the old one, which goes when all is done; the new one is seen as soon as it is
#: drawn, and the old one until then.
_STYLE: Final = """<style>
.stMainBlockContainer{padding:3rem 2rem 2rem}
.stMainBlockContainer h1{font-size:1.75rem;padding:.25rem 0 .5rem}
[data-testid="stCaptionContainer"],[data-testid="stCaptionContainer"] *{color:inherit!important;opacity:1!important}
[data-testid="stMetricValue"]{font-size:1.25rem}
.stTabs [aria-selected="true"]{color:inherit!important}
[class*="st-key-live_"] [data-stale="true"]{opacity:1!important}
[class*="st-key-live_"] .stElementContainer:has(.main-svg)~.stElementContainer:has(.stPlotlyChart){display:none}
[class*="st-key-live_"] .stElementContainer:has(.stPlotlyChart):not(:has(.main-svg)):has(~.stElementContainer
 .main-svg){height:0;overflow:hidden;margin-bottom:-1rem}
.stMainBlockContainer h2{font-size:1.35rem}
.stMainBlockContainer h3{font-size:1.2rem}
.stApp a:focus-visible,.stApp button:focus-visible{outline:2px solid #1f78c8!important;outline-offset:2px}
.sign-out button{font:inherit;font-size:.875rem;color:inherit;background:none;border:1px solid #8a8a8a;
 border-radius:.5rem;padding:.35rem .8rem;cursor:pointer}
.sign-out button:hover{border-color:#0b5cad}
@media (max-width:640px){
 .stMainBlockContainer{padding:3.5rem 1rem 2rem}
 .stColumn:has([data-testid="stMetric"]){min-width:calc(50% - .5rem);flex:1 1 calc(50% - .5rem)}
 .stColumn:not(:has(.stElementContainer)){display:none}
}
</style>"""

_ROW_PX: Final = 35
_HEAD_PX: Final = 38


def height(rows: int, most_px: int) -> int:
    """Pixels of a table of so many rows: no empty ones below them, and no more than ``most_px``."""
    return min(_HEAD_PX + _ROW_PX * max(rows, 1), most_px)


def sidebar(who: Identity) -> None:
    """Below the navigation."""
    st.html(_STYLE)
    with st.sidebar:
        st.toggle(
            "Pause", key=PAUSED, help=f"Live parts are drawn anew every {refresh_s():g} s; paused, they stand still."
        )
        st.caption(f"Signed in as **{_plain(who.user)}** ({who.role})")
        # A form, as only a POST may sign out: a link on another page must not.
        st.html(
            '<form class="sign-out" method="post" action="/logout" target="_self">'
            '<button type="submit">Sign out</button></form>'
        )


def _plain(text: str) -> str:
    """Text of others inside Markdown, as text."""
    return "".join("\\" + c if c in "\\`*_{}[]()<>#+-.!|~$:" else c for c in text)


plain = _plain
