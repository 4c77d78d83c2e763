"""``[api.oidc]``: people log in at an OpenID Connect issuer (Keycloak, Entra ID, Authentik, …); opens nothing."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from wire.settings import Secret


def is_safe_url(url: str) -> bool:
    """Whether secrets may travel to ``url``: https, or http that stays on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)))


def _issuer(url: str) -> str:
    if url and (not is_safe_url(url) or any(mark in url for mark in "?# @")):
        raise ValueError("must be the issuer's https:// address, as it names itself (http:// on this machine only)")
    return url


def _scopes(text: str) -> str:
    if "openid" not in text.split():
        raise ValueError("must contain openid: without it the issuer sends no identity")
    return text


class OidcSettings(BaseModel):
    """Off while ``issuer`` is empty."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: As it names itself, e.g. ``https://id.example.org/realms/plant``.
    issuer: Annotated[str, AfterValidator(_issuer)] = ""
    client_id: str = ""
    #: None: a public client, protected by PKCE alone.
    client_secret: Secret | None = None
    #: File whose only line is the secret; wins over ``client_secret``.
    client_secret_file: Path | None = None
    #: PEM file of the authorities to trust for the issuer; the usual ones when empty.
    ca_file: Path | None = None
    scopes: Annotated[str, AfterValidator(_scopes)] = "openid profile email"
    #: "Log in with {name}".
    name: str = Field(default="single sign-on", min_length=1, max_length=64)
    #: Claim with the user's name here; ``email``, then ``sub``, where it is missing or does not fit.
    user_claim: str = Field(default="preferred_username", min_length=1)
    #: Claim whose values give the role; dots lead into tables: ``realm_access.roles``.
    role_claim: str = Field(default="groups", min_length=1)
    #: Values of ``role_claim``; the greatest role wins.
    admins: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    viewers: tuple[str, ...] = ()
    #: Of those whom no value gives a role; None: they are refused.
    default_role: Literal["viewer", "operator", "admin"] | None = None
    #: Claim whose values are access groups; empty: they are set here, as those of other users.
    group_claim: str = ""

    @property
    def enabled(self) -> bool:
        """Whether people may log in this way."""
        return bool(self.issuer)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.enabled and not self.client_id:
            raise ValueError("client_id is required: the name under which the issuer knows this hub")
        if self.enabled and not (self.admins or self.operators or self.viewers or self.default_role):
            raise ValueError("nobody could log in: give admins, operators, viewers or default_role")
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
