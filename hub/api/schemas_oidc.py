"""What the routes of logging in at an OpenID Connect issuer take and give."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class OidcOffer(BaseModel):
    """What a login page needs to send a browser to the issuer; it adds ``redirect_uri``, ``state``, ``nonce``, PKCE."""

    #: "Log in with {name}".
    name: str
    authorization_endpoint: str
    client_id: str
    #: Separated by spaces.
    scopes: str


class OidcLogin(BaseModel):
    """What the browser brought back, and what the login page kept since it sent it off."""

    model_config = ConfigDict(extra="forbid")

    code: SecretStr = Field(min_length=1, max_length=4096)
    #: PKCE, RFC 7636 (S256).
    code_verifier: SecretStr = Field(min_length=43, max_length=128)
    #: That of the request which gave the code; the issuer compares.
    redirect_uri: str = Field(max_length=2048, pattern=r"^https?://\S+$")
    nonce: SecretStr = Field(min_length=16, max_length=256)
