"""An OpenID Connect issuer over real HTTP, for tests: discovery, authorize, token (checks PKCE and secret), keys.

A test changes what it says: ``claims`` of the person, ``sign`` of the token, ``away``.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import secrets
import time
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

from hub.api.server import serve

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request
    from starlette.responses import Response

CLIENT_ID, CLIENT_SECRET = "hub client", "planted-client-secret+/="


@cache
def key(name: str = "issuer") -> rsa.RSAPrivateKey:
    """Made once a run; each name is another key."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def sign(claims: dict[str, Any], *, kid: str = "one", name: str = "issuer") -> str:
    return jwt.encode(claims, key(name), algorithm="RS256", headers={"kid": kid})


def jwk(kid: str = "one", name: str = "issuer") -> dict[str, Any]:
    public = jwt.algorithms.RSAAlgorithm.to_jwk(key(name).public_key(), as_dict=True)
    return {**public, "kid": kid, "use": "sig", "alg": "RS256"}


@cache
def other_key(algorithm: str) -> ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey:
    """One for ES256 or EdDSA."""
    return ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()


def sign_by(algorithm: str, claims: dict[str, Any], *, kid: str = "one") -> str:
    return jwt.encode(claims, other_key(algorithm), algorithm=algorithm, headers={"kid": kid})


def jwk_of(algorithm: str, kid: str = "one") -> dict[str, Any]:
    made = other_key(algorithm)
    if isinstance(made, ec.EllipticCurvePrivateKey):
        public = jwt.algorithms.ECAlgorithm.to_jwk(made.public_key(), as_dict=True)
    else:
        public = jwt.algorithms.OKPAlgorithm.to_jwk(made.public_key(), as_dict=True)
    return {**public, "kid": kid, "use": "sig"}


@dataclass
class Issuer:
    """What it says; a test may change all of it."""

    url: str = ""
    #: Of the person who is logged in there.
    claims: dict[str, Any] = field(default_factory=lambda: person("ann", "hub-viewers"))
    sign: Callable[[dict[str, Any]], str] = sign
    keys: list[dict[str, Any]] = field(default_factory=lambda: [jwk()])
    calls_itself: str | None = None
    away: bool = False
    #: Paths that were asked for.
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def authorize(self, query: dict[str, str]) -> str:
        """The code for a request as a login page sends it."""
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        assert query["client_id"] == CLIENT_ID
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        return code

    def token(self, form: dict[str, str], authorization: str) -> Response:
        if authorization != _basic(CLIENT_ID, CLIENT_SECRET):
            return JSONResponse({"error": "invalid_client"}, 401)
        query = self.codes.pop(form["code"], None)
        if (
            query is None
            or query["redirect_uri"] != form["redirect_uri"]
            or query["code_challenge"] != challenge(form["code_verifier"])
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now_s = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT_ID, "iat": now_s, "exp": now_s + 300, "nonce": query["nonce"]}
        return JSONResponse({"token_type": "Bearer", "id_token": self.sign(claims | self.claims)})


def person(name: str, *groups: str) -> dict[str, Any]:
    return {"sub": f"subject-of-{name}", "preferred_username": name, "groups": list(groups)}


def challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


@contextlib.asynccontextmanager
async def running_issuer(tls: ssl.SSLContext | None = None) -> AsyncIterator[Issuer]:
    """Serve one, on a free port; with ``tls`` by https."""
    issuer = Issuer()

    async def answer(request: Request) -> Response:
        path = request.url.path
        issuer.asked.append(path)
        if issuer.away:
            return JSONResponse({"error": "temporarily_unavailable"}, 503)
        if path == "/authorize":
            query = dict(request.query_params)
            back = {"code": issuer.authorize(query), "state": query["state"]}
            return RedirectResponse(f"{query['redirect_uri']}?{urlencode(back)}", 303)
        if path == "/token":
            form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
            return issuer.token(form, request.headers.get("authorization", ""))
        if path == "/keys":
            return JSONResponse({"keys": issuer.keys})
        endpoints = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys"}
        found = {name: issuer.url + path for name, path in endpoints.items()}
        return JSONResponse({"issuer": issuer.calls_itself or issuer.url, **found})

    routes = [
        Route(path, answer, methods=["GET", "POST"])
        for path in ("/authorize", "/token", "/keys", "/.well-known/openid-configuration")
    ]
    async with serve(Starlette(routes=routes), "127.0.0.1", 0, stop_within_s=1, tls=tls) as served:
        issuer.url = served.url
        yield issuer


def _basic(user: str, password: str) -> str:
    """RFC 6749, 2.3.1."""
    encoded = urlencode({"": user})[1:].replace("+", "%20"), urlencode({"": password})[1:]
    return "Basic " + base64.b64encode(":".join(encoded).encode()).decode()
