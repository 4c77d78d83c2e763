"""A hub whose people log in at an issuer that runs beside it, for tests of ``/token/oidc``."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING, Any

from hub.config import Settings
from tests.support.api import running_api
from tests.support.issuer import CLIENT_ID, CLIENT_SECRET, challenge, running_issuer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    import httpx

    from tests.support.api import Api
    from tests.support.issuer import Issuer

ROUTE = "/api/v1/token/oidc"
BACK = "http://dash/login/callback"


def settings_for(issuer: str, **more: Any) -> Settings:
    oidc = {
        "issuer": issuer,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "name": "Plant ID",
        "admins": ["hub-admins"],
        "operators": ["hub-operators"],
        "viewers": ["hub-viewers"],
        **more,
    }
    return Settings.model_validate({"api": {"oidc": oidc}})


@contextlib.asynccontextmanager
async def both(folder: Path, **more: Any) -> AsyncIterator[tuple[Issuer, Api]]:
    async with running_issuer() as issuer, running_api(folder, settings=settings_for(issuer.url, **more)) as api:
        yield issuer, api


def running(folder: Path, play: Callable[[Issuer, Api], Awaitable[None]], **more: Any) -> None:
    async def scenario() -> None:
        async with both(folder, **more) as (issuer, api):
            await play(issuer, api)

    asyncio.run(scenario())


def departure(issuer: Issuer) -> dict[str, str]:
    """What a login page keeps, and the code that the issuer gave for it."""
    verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    query = {"response_type": "code", "client_id": CLIENT_ID, "redirect_uri": BACK, "nonce": nonce}
    code = issuer.authorize({**query, "code_challenge": challenge(verifier), "code_challenge_method": "S256"})
    return {"code": code, "code_verifier": verifier, "redirect_uri": BACK, "nonce": nonce}


async def log_in(issuer: Issuer, api: Api, **changed: str) -> httpx.Response:
    return await api.anyone.post(ROUTE, json=departure(issuer) | changed)


async def user(api: Api, name: str) -> dict[str, Any]:
    users = (await api.http.get("/api/v1/users")).json()["items"]
    found: dict[str, Any] = next(one for one in users if one["name"] == name)
    return found


async def names(api: Api) -> set[str]:
    return {one["name"] for one in (await api.http.get("/api/v1/users")).json()["items"]}


async def last_login(api: Api) -> tuple[str, bool]:
    newest = (await api.http.get("/api/v1/audit/logins")).json()["items"][0]
    return newest["user"], newest["accepted"]
