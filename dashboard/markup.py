"""The few pages that are not Streamlit's: login and waiting. Plain HTML, no script, nothing from elsewhere."""

from __future__ import annotations

import html
from typing import Final
from urllib.parse import quote

_STYLE: Final = """
:root{color-scheme:light dark}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;place-items:center;
 background:Canvas;color:CanvasText}
main{width:min(24rem,92vw);padding:2rem 1.5rem}
h1{font-size:1.5rem;margin:0 0 1rem}
label{display:block;margin:1rem 0 .25rem;font-weight:600}
input{width:100%;font:inherit;padding:.6rem .7rem;border:1px solid #767676;border-radius:.4rem;
 background:Field;color:FieldText}
button{margin-top:1.5rem;width:100%;font:inherit;font-weight:600;padding:.7rem;border:0;border-radius:.4rem;
 background:#0b5cad;color:#fff;cursor:pointer}
button:hover{background:#094a8c}
.or{text-align:center;margin:.8rem 0;color:GrayText}
a.button{display:block;text-align:center;text-decoration:none;font-weight:600;padding:.65rem;
 border:1px solid #767676;border-radius:.4rem;color:CanvasText}
a.button:hover{background:ButtonFace}
:focus-visible{outline:3px solid #e69f00;outline-offset:2px}
.wrong{border-left:4px solid #c62828;padding:.5rem .8rem;margin:0 0 1rem}
.hint{color:GrayText;font-size:.9rem}
"""


def document(title: str, body: str, *, refresh_s: int | None = None) -> str:
    """A whole page; ``body`` is markup, ``title`` is text."""
    refresh = f'<meta http-equiv="refresh" content="{refresh_s}">' if refresh_s else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{refresh}'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{html.escape(title)} · iothub</title>'
        f"<style>{_STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>"
    )


def login_form(csrf: str, following: str, *, user: str = "", wrong: str = "", offered: str = "") -> str:
    """The body of the login page; ``offered``: the name of another place to log in, empty where there is none."""
    elsewhere = (
        f'<p class="or">or</p><a class="button" href="/login/oidc?next={quote(following, safe="")}">'
        f"Log in with {html.escape(offered)}</a>"
        if offered
        else ""
    )
    said = f'<p class="wrong" role="alert">{html.escape(wrong)}</p>' if wrong else ""
    focus = ("", " autofocus") if user else (" autofocus", "")
    return (
        f"<h1>iothub</h1>{said}"
        '<form method="post" action="/login">'
        f'<input type="hidden" name="csrf" value="{html.escape(csrf)}">'
        f'<input type="hidden" name="next" value="{html.escape(following)}">'
        '<label for="user">User</label>'
        f'<input id="user" name="user" value="{html.escape(user)}" autocomplete="username" maxlength="64" '
        f"required{focus[0]}>"
        '<label for="password">Password</label>'
        '<input id="password" name="password" type="password" autocomplete="current-password" maxlength="1024" '
        f"required{focus[1]}>"
        '<button type="submit">Log in</button></form>'
        f"{elsewhere}"
        '<p class="hint">The first start of the hub printed the password of user admin.</p>'
    )
