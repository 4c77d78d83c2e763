"""``/login`` and ``/logout``: the password goes to the API, its token comes back as an HttpOnly cookie.

GET  /login   form, with a token against forged requests (cookie and field must agree)
              and, where the API offers it, the way to a login elsewhere (oidc.py)
POST /login   API: POST token ─▶ cookie, on to where one wanted to go
POST /logout  API: DELETE token ─▶ cookie dropped
"""

from __future__ import annotations

import asyncio
import hmac
import html
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from dashboard.errors import ApiAway, Refused, SignedOut
from dashboard.identity import COOKIE
from dashboard.markup import document, login_form
from dashboard.oidc import OidcLogin

if TYPE_CHECKING:
    from starlette.requests import Request

    from dashboard.client import Client, Document
    from dashboard.identity import Identities

_CSRF: Final = "iothub_csrf"
#: A login form is a few hundred bytes.
_MOST_BYTES: Final = 8192
_FORM_LIFETIME_S: Final = 3600


class Login:
    """The routes that are open to all.

    Args:
        client: of the API.
        identities: told about logouts.
        secure: whether cookies are for TLS only.
        public_url: address of the dashboard as browsers see it; empty: that of each request.
    """

    def __init__(self, client: Client, identities: Identities, *, secure: bool, public_url: str = "") -> None:
        self._client = client
        self._identities = identities
        self._secure = secure
        self._oidc = OidcLogin(
            client,
            fail=lambda request, following, wrong, code: self._form(request, following, wrong=wrong, code=code),
            succeed=self._signed_in,
            safe_path=_safe_path,
            address=_address,
            public_url=public_url,
            secure=secure,
        )

    def routes(self) -> list[Route]:
        """For the application."""
        return [
            Route("/login", self._show, methods=["GET"]),
            Route("/login", self._log_in, methods=["POST"]),
            Route("/logout", self._log_out, methods=["POST"]),
            *self._oidc.routes(),
        ]

    async def _show(self, request: Request) -> Response:
        return await self._form(request, _safe_path(request.query_params.get("next", "")))

    async def _log_in(self, request: Request) -> Response:
        given = await _fields(request)
        if given is None:
            return Response("The form is too large.", 413)
        following, user = _safe_path(given.get("next", "")), given.get("user", "")
        if not self._is_ours(request, given):
            return await self._form(
                request, following, user=user, wrong="The form was too old: please try again.", code=403
            )
        try:
            token = await asyncio.to_thread(self._client.log_in, user, given.get("password", ""), _address(request))
        except (Refused, ApiAway) as error:
            code = error.status if isinstance(error, Refused) else 503
            return await self._form(request, following, user=user, wrong=str(error), code=code)
        return self._signed_in(token, following)

    def _signed_in(self, token: Document, following: str) -> Response:
        answer = RedirectResponse(following, 303)
        left_s = (datetime.fromisoformat(token["expires"]) - datetime.now(UTC)).total_seconds()
        answer.set_cookie(
            COOKIE, token["token"], max_age=max(0, int(left_s)), httponly=True, samesite="lax", secure=self._secure
        )
        answer.delete_cookie(_CSRF, path="/")
        return answer

    async def _log_out(self, request: Request) -> Response:
        token = request.cookies.get(COOKIE)
        # A page of another site cannot send this cookie with a POST (SameSite), so that nobody is logged out by one.
        if token:
            self._identities.forget(token)
            try:
                await asyncio.to_thread(self._client.delete, "/token", token)
            except (ApiAway, SignedOut, Refused) as error:
                return self._gone(f"Signed out here. The hub was not told: {error}")
        return self._gone("")

    def _gone(self, said: str) -> Response:
        text = f'<p class="wrong">{html.escape(said)}</p>' if said else ""
        answer = HTMLResponse(
            document("Signed out", f'<h1>Signed out</h1>{text}<p><a href="/login">Log in again</a></p>')
        )
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax", secure=self._secure)
        return answer

    async def _form(
        self, request: Request, following: str, *, user: str = "", wrong: str = "", code: int = 200
    ) -> Response:
        try:
            offered = str((await asyncio.to_thread(self._client.oidc) or {}).get("name", ""))
        except (Refused, ApiAway) as error:
            # The form for passwords is shown all the same: the hub itself says whether it answers.
            offered, wrong = "", wrong or (str(error) if isinstance(error, Refused) else "")
        csrf = request.cookies.get(_CSRF) or secrets.token_urlsafe(32)
        answer = HTMLResponse(
            document("Log in", login_form(csrf, following, user=user, wrong=wrong, offered=offered)), code
        )
        answer.headers["Cache-Control"] = "no-store"
        answer.set_cookie(_CSRF, csrf, max_age=_FORM_LIFETIME_S, httponly=True, samesite="strict", secure=self._secure)
        return answer

    @staticmethod
    def _is_ours(request: Request, given: dict[str, str]) -> bool:
        cookie = request.cookies.get(_CSRF, "")
        return bool(cookie) and hmac.compare_digest(cookie.encode(), given.get("csrf", "").encode())


def _address(request: Request) -> str:
    """Where the browser is, as far as the connection says; a proxy between hides it."""
    return request.client.host if request.client is not None else ""


async def _fields(request: Request) -> dict[str, str] | None:
    """The fields of a form; None when it is too large."""
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > _MOST_BYTES:
                return None
    except ClientDisconnect:
        return None
    parsed = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[0] for name, values in parsed.items()}


def _safe_path(wanted: str) -> str:
    """A path of this site: never another one's address."""
    if not wanted.startswith("/") or wanted.startswith(("//", "/\\")) or any(ord(c) < 0x20 for c in wanted):  # noqa: PLR2004  control characters
        return "/"
    return wanted
