"""Talks to an OpenID Connect issuer: where to log in, and who did. Authorization code flow with PKCE.

login page ─▶ offer() ─▶ browser at the issuer ─▶ code ─▶ log_in() ─▶ token endpoint ─▶ ID token ─▶ claims ─▶ Person
                 └─ discovery, kept an hour                                               └─ keys (JWKS), kept an hour
"""

from __future__ import annotations

import asyncio
import ssl
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import httpx

from hub.config_oidc import is_safe_url
from hub.oidc_rights import person_of
from hub.oidc_token import UnknownKey, WrongToken, verify
from hub.paths import read_secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.config_oidc import OidcSettings
    from hub.oidc_rights import Person

_TIMEOUT: Final = httpx.Timeout(5.0, connect=3.0)
_KEPT_S: Final = 3600.0
#: After a failure nobody waits for the issuer again for so long.
_PAUSE_S: Final = 10.0
_ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class IssuerAway(Exception):  # noqa: N818  the name says what the caller is told
    """The issuer does not answer, or not as it must; the message says what to do and holds no secret."""


class Oidc:
    """One issuer. Safe for many tasks of one loop.

    Args:
        settings: with ``enabled``.
        clock_s: monotonic.
    """

    def __init__(self, settings: OidcSettings, clock_s: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self._clock_s = clock_s
        self._lock = asyncio.Lock()
        #: URL → document, and when it came.
        self._kept: dict[str, tuple[dict[str, Any], float]] = {}
        #: The last failure, and when it was.
        self._failed: tuple[str, float] | None = None
        #: Made once: to read the authorities takes tens of milliseconds.
        self._trust: ssl.SSLContext | None = None

    async def authorization_endpoint(self) -> str:
        """Where the browser goes to log in.

        Raises:
            IssuerAway: nobody can log in now.
        """
        endpoint: str = (await self._discovered())["authorization_endpoint"]
        return endpoint

    async def log_in(self, code: str, verifier: str, redirect_uri: str, nonce: str) -> Person:
        """Who came back from the issuer with ``code``.

        Raises:
            IssuerAway: it cannot be found out now.
            WrongToken: the code or what the issuer gave for it is not valid.
            NoRights: no name that a user here can have.
        """
        found = await self._discovered()
        token = await self._exchange(found, code, verifier, redirect_uri)
        keys = await self._document(found["jwks_uri"])
        try:
            claims = self._verify(token, keys, nonce)
        except UnknownKey:
            self._kept.pop(found["jwks_uri"], None)
            claims = self._verify(token, await self._document(found["jwks_uri"]), nonce)
        return person_of(claims, self.settings)

    def _verify(self, token: str, keys: dict[str, Any], nonce: str) -> dict[str, Any]:
        return verify(token, keys, issuer=self.settings.issuer, client_id=self.settings.client_id, nonce=nonce)

    async def _discovered(self) -> dict[str, Any]:
        issuer = self.settings.issuer
        found = await self._document(issuer.rstrip("/") + "/.well-known/openid-configuration")
        if found.get("issuer") != issuer:
            raise IssuerAway(f"{issuer} calls itself {str(found.get('issuer'))[:200]!r}: set api.oidc.issuer to that.")
        if wrong := [name for name in _ENDPOINTS if not is_safe_url(str(found.get(name, "")))]:
            raise IssuerAway(f"{issuer} names no https address as {', '.join(wrong)}.")
        return found

    async def _document(self, url: str) -> dict[str, Any]:
        """A JSON document of the issuer, at most an hour old; one task fetches, the others wait for it."""
        async with self._lock:
            now_s = self._clock_s()
            if (kept := self._kept.get(url)) and now_s - kept[1] < _KEPT_S:
                return kept[0]
            if self._failed is not None and now_s - self._failed[1] < _PAUSE_S:
                raise IssuerAway(self._failed[0])
            try:
                document = await self._fetch(url)
            except IssuerAway as error:
                self._failed = (str(error), self._clock_s())
                raise
            self._failed = None
            self._kept[url] = (document, now_s)
            return document

    async def _fetch(self, url: str) -> dict[str, Any]:
        answer = await self._request("GET", url)
        document = _table(answer) if answer.status_code == httpx.codes.OK else None
        if document is None:
            raise IssuerAway(f"The login service {url} answered {answer.status_code} and no JSON document.")
        return document

    async def _exchange(self, found: dict[str, Any], code: str, verifier: str, redirect_uri: str) -> str:
        """The ID token for ``code``."""
        client_id, secret = self.settings.client_id, await asyncio.to_thread(self._secret)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        arguments: dict[str, Any] = {"data": form}
        methods = found.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if secret is not None and "client_secret_basic" in methods:
            # RFC 6749, 2.3.1: both are encoded as in a form first.
            arguments["auth"] = quote(client_id, safe=""), quote(secret, safe="")
        else:
            form["client_id"] = client_id
            if secret is not None:
                form["client_secret"] = secret
        answer = await self._request("POST", found["token_endpoint"], **arguments)
        given = _table(answer) or {}
        if answer.status_code == httpx.codes.OK:
            token = given.get("id_token")
            if not isinstance(token, str):
                raise IssuerAway(f"{self.settings.issuer} gave no ID token: allow this client the scope openid.")
            return token
        error = given.get("error")
        if error == "invalid_grant":
            raise WrongToken("the login service does not accept the code: it is used, too old or of another login")
        if error in ("invalid_client", "unauthorized_client") or answer.status_code == httpx.codes.UNAUTHORIZED:
            raise IssuerAway(
                f"{self.settings.issuer} does not accept this hub: check api.oidc.client_id and its secret."
            )
        raise IssuerAway(f"The login service {self.settings.issuer} answered {answer.status_code} to the code.")

    def _secret(self) -> str | None:
        """Read anew each time, so that it can be changed."""
        if (file := self.settings.client_secret_file) is not None:
            try:
                return read_secret(file)
            except (OSError, UnicodeDecodeError) as error:
                raise IssuerAway(f"The hub cannot read api.oidc.client_secret_file: {error}") from error
        secret = self.settings.client_secret
        return secret.get_secret_value() if secret is not None else None

    async def _request(self, method: str, url: str, **arguments: Any) -> httpx.Response:
        """One request; redirects are not followed, they could lead secrets anywhere."""
        try:
            if self._trust is None:
                file = self.settings.ca_file
                make = partial(ssl.create_default_context, cafile=file) if file else httpx.create_ssl_context
                self._trust = await asyncio.to_thread(make)
            async with httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False, verify=self._trust) as http:
                return await http.request(method, url, **arguments)
        except httpx.TimeoutException:
            raise IssuerAway(f"The login service {self.settings.issuer} gives no answer in time.") from None
        except httpx.TransportError as error:
            raise IssuerAway(f"The login service {self.settings.issuer} does not answer ({error}).") from None
        except (OSError, httpx.InvalidURL) as error:  # an ssl.SSLError is an OSError
            raise IssuerAway(f"The login service cannot be asked; see api.oidc.ca_file: {error}") from None


def _table(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        document = answer.json()
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
