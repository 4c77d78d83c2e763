"""The page that every view lives in: Streamlit's own, told where its server is, so that it does not have to guess.

Without it the front end asks for its server below the path of the page first, and each link to a page begins with two
errors in the browser's console. And told that a WebSocket which ends may end with the session: then the page goes to
the login, rather than to stand there with what it last showed.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Final

import streamlit as st
from starlette.responses import HTMLResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

#: Addresses of the pages beside the first, which is at ``/``.
PATHS: Final = ("node", "explore", "logs", "alerts", "rules", "commands", "ingest", "admin")
_WHERE: Final = (
    '<script>window.__streamlit={BACKEND_BASE_URL:location.origin+"/",MAIN_PAGE_BASE_URL:location.origin+"/"}</script>'
)
#: What needs a session answers 401 once there is none; a hub or a network that is away answers otherwise or not at all.
_SIGNED_OUT: Final = (
    "<script>window.WebSocket=class extends WebSocket{constructor(...given){super(...given);"
    'this.addEventListener("close",()=>fetch("/_stcore/host-config").then('
    "answer=>{if(answer.status===401)location.reload()},()=>{}))}}</script>"
)


def shell_routes() -> list[Route]:
    """One route a page, and one for the root."""
    return [Route(path, _show, methods=["GET"]) for path in ("/", *(f"/{name}" for name in PATHS))]


async def _show(_: Request) -> HTMLResponse:
    return HTMLResponse(shell(), headers={"Cache-Control": "no-cache"})


@functools.cache
def shell() -> str:
    """The page as Streamlit ships it, with our name and the address of its server."""
    original = Path(st.__file__).with_name("static") / "index.html"
    text = original.read_text(encoding="utf-8")
    return text.replace("<title>Streamlit</title>", "<title>iothub</title>").replace(
        "<head>", f"<head>{_WHERE}{_SIGNED_OUT}", 1
    )
