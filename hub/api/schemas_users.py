"""What the routes of users, their tokens and logins take and give."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from hub.api.schemas import Scope, Time
from wire.settings import NodeId

Role = Literal["viewer", "operator", "admin"]
_Group = Annotated[str, Field(min_length=1, max_length=64)]
#: Null: all nodes. An empty list: none.
Groups = Annotated[list[_Group], Field(max_length=100)]
_Password = Annotated[SecretStr, Field(min_length=10, max_length=1024)]
_YEAR_S = 366 * 86_400.0


class _Body(BaseModel):
    """A request: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid")


class User(BaseModel):
    """One user of the API and the dashboard."""

    name: str
    role: Role
    #: The groups whose nodes it sees and may command; null: all nodes.
    groups: list[str] | None
    created: Time
    #: Whether one can log in as it; the user of the local command line holds a token only.
    has_password: bool
    #: Sessions and API tokens that are valid.
    tokens: int
    last_login: Time | None
    #: The OpenID Connect issuer where it logs in, and which says its role; null: it is known here alone.
    issuer: str | None = None


class NewUser(_Body):
    """A user to be made."""

    name: NodeId
    role: Role
    #: Null: one is made and shown once.
    password: _Password | None = None
    #: The groups whose nodes it sees; null: all nodes.
    groups: Groups | None = None


class MadeUser(User):
    """Answer to ``POST users``."""

    #: Shown this once; null where it was given.
    password: str | None


class UserChange(_Body):
    """``PATCH users/{name}``: what is left out stays."""

    role: Role | None = None
    #: Null: all nodes.
    groups: Groups | None = None
    #: All sessions and tokens of the user end.
    password: _Password | None = None


class PasswordChange(_Body):
    """``PUT password``: one's own. All sessions and tokens of the user end, this one too."""

    current: SecretStr = Field(max_length=1024)
    new: _Password


class NewApiToken(_Body):
    """A token for a program."""

    #: What it is for.
    name: str = Field(min_length=1, max_length=64, examples=["backup script"])
    scope: Scope = "read"
    #: Seconds until it ends.
    lifetime_s: float = Field(default=90 * 86_400.0, gt=0, le=_YEAR_S)
    #: Null: oneself. Others: administrators only.
    user: Annotated[str, Field(max_length=64)] | None = None


class ApiToken(BaseModel):
    """A token, without its text."""

    id: int
    user: str
    name: str
    scope: Scope
    #: ``session``: made by a login.
    kind: Literal["session", "token"]
    #: Where the login came from; empty for tokens.
    address: str
    created: Time
    #: Null: until it is revoked.
    expires: Time | None


class MadeApiToken(ApiToken):
    """Answer to ``POST tokens``."""

    #: Shown this once.
    token: str


class LoginAttempt(BaseModel):
    """One attempt to log in, or to use a token that is not valid."""

    at: Time
    #: As it was given; null for a token.
    user: str | None
    address: str
    accepted: bool


class Revoked(BaseModel):
    """Answer to ``DELETE users/{name}/tokens``."""

    revoked: int


class NodeGroups(_Body):
    """The groups of a node."""

    groups: list[_Group] = Field(max_length=32)
