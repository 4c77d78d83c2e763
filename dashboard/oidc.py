"""``/login/oidc`` and ``/login/callback``: log in at the issuer that the API names (authorization code, PKCE).

GET /login/oidc      state, nonce, verifier ─▶ cookie for ten minutes; browser ─▶ issuer
GET /login/callback  state as in the cookie? ─▶ API: POST token/oidc ─▶ session cookie, on to where one wanted to go
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dashboard.errors import ApiAway, Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from dashboard.client import Client, Document

_COOKIE: Final = "iothub_oidc"
_PATH: Final = "/login"
_LIFETIME_S: Final = 600
_LONGEST_PATH: Final = 1024
#: Words of RFC 6749 and OpenID Connect such as ``access_denied``.
_ERROR: Final = re.compile(r"[a-z_]{1,40}")


@dataclass(frozen=True)
class _Departure:
    """What is kept while the browser is at the issuer."""

    state: str
    nonce: str
    verifier: str
    following: str


class OidcLogin:
    """The two routes.

    Args:
        client: of the API.
        fail: the login page with what went wrong: request, where one wanted to go, text, status.
        succeed: the way on, with the session cookie: token document, where to.
        safe_path: a path of this site, whatever was given.
        address: where the browser is.
        public_url: address of the dashboard as browsers see it; empty: that of the request.
        secure: whether cookies are for TLS only; then the address is taken to be https.
    """

    def __init__(
        self,
        client: Client,
        *,
        fail: Callable[[Request, str, str, int], Awaitable[Response]],
        succeed: Callable[[Document, str], Response],
        safe_path: Callable[[str], str],
        address: Callable[[Request], str],
        public_url: str,
        secure: bool,
    ) -> None:
        self._client = client
        self._fail = fail
        self._succeed = succeed
        self._safe_path = safe_path
        self._address = address
        self._public_url = public_url
        self._secure = secure

    def routes(self) -> list[Route]:
        """For the application."""
        return [
            Route("/login/oidc", self._depart, methods=["GET"]),
            Route("/login/callback", self._return, methods=["GET"]),
        ]

    async def _depart(self, request: Request) -> Response:
        following = self._safe_path(request.query_params.get("next", "")[:_LONGEST_PATH])
        try:
            offer = await asyncio.to_thread(self._client.oidc)
        except (Refused, ApiAway) as error:
            return await self._fail(request, following, str(error), error.status if isinstance(error, Refused) else 503)
        if offer is None:
            return await self._fail(request, following, "This hub logs people in by password alone.", 404)
        departure = _Departure(_random(), _random(), _random(), following)
        asked = {
            "response_type": "code",
            "client_id": offer["client_id"],
            "scope": offer["scopes"],
            "redirect_uri": self._redirect_uri(request),
            "state": departure.state,
            "nonce": departure.nonce,
            "code_challenge": _challenge(departure.verifier),
            "code_challenge_method": "S256",
        }
        endpoint = offer["authorization_endpoint"]
        answer = RedirectResponse(endpoint + ("&" if "?" in endpoint else "?") + urlencode(asked), 303)
        answer.headers["Cache-Control"] = "no-store"
        # Lax: the issuer's page sends the browser back here, which is a navigation from another site.
        answer.set_cookie(
            _COOKIE,
            base64.urlsafe_b64encode(json.dumps(asdict(departure)).encode()).decode(),
            max_age=_LIFETIME_S,
            path=_PATH,
            httponly=True,
            samesite="lax",
            secure=self._secure,
        )
        return answer

    async def _return(self, request: Request) -> Response:
        answer = await self._judged(request)
        answer.headers["Cache-Control"] = "no-store"
        answer.delete_cookie(_COOKIE, path=_PATH, httponly=True, samesite="lax", secure=self._secure)
        return answer

    async def _judged(self, request: Request) -> Response:
        given, departure = request.query_params, _departure(request.cookies.get(_COOKIE, ""))
        if departure is None or not hmac.compare_digest(departure.state.encode(), given.get("state", "").encode()):
            text = "This login was not begun here, or is older than ten minutes: please try again."
            return await self._fail(request, "/", text, 403)
        following = self._safe_path(departure.following)
        if "error" in given or not given.get("code"):
            said = given.get("error", "")
            reason = said if _ERROR.fullmatch(said) else "no code"
            return await self._fail(request, following, f"The login service refused the login: {reason}.", 403)
        try:
            token = await asyncio.to_thread(
                self._client.log_in_oidc,
                {
                    "code": given["code"],
                    "code_verifier": departure.verifier,
                    "redirect_uri": self._redirect_uri(request),
                    "nonce": departure.nonce,
                },
                self._address(request),
            )
        except (Refused, ApiAway) as error:
            return await self._fail(request, following, str(error), error.status if isinstance(error, Refused) else 503)
        return self._succeed(token, following)

    def _redirect_uri(self, request: Request) -> str:
        base = self._public_url or str(request.base_url.replace(scheme="https") if self._secure else request.base_url)
        return base.rstrip("/") + "/login/callback"


def _random() -> str:
    return secrets.token_urlsafe(32)


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _departure(cookie: str) -> _Departure | None:
    """What the cookie says; None where it is missing or not ours."""
    try:
        fields = json.loads(base64.urlsafe_b64decode(cookie.encode()))
        departure = _Departure(**fields)
    except (ValueError, TypeError):
        return None
    return departure if all(isinstance(value, str) and value for value in fields.values()) else None
