"""What the routes of accounts, joining and certificates take and give."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hub.api.schemas import Broker, Credentials, Time
from wire.settings import NodeId

_Group = Annotated[str, Field(min_length=1, max_length=64)]


class _Body(BaseModel):
    """A request: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid")


class Account(BaseModel):
    """One account on the broker."""

    name: str
    #: ``node``, ``gateway``, ``operator``, ``analyst``, or the roles of one that was made by other means.
    role: str
    #: Null: the account works with any MQTT client id.
    client_id: str | None


class NewAccount(_Body):
    """An account for a person or program."""

    name: NodeId
    role: Literal["operator", "analyst"]


class MadeAccount(BaseModel):
    """Answer to ``POST accounts`` and ``POST accounts/{name}/credentials``."""

    name: str
    credentials: Credentials
    mqtt: Broker


class Denial(BaseModel):
    """One who was turned away by the broker."""

    at: Time
    #: ``credentials``, ``protocol``, ``tls``, ``size``, or ``takeover``: a second connection of the same account;
    #: with ``broker.record_denied`` also ``publish``, ``subscribe`` and ``will``: something that it may not do.
    kind: str
    #: Client id, where it got so far.
    client: str
    #: Where it came from; several where the broker does not say which of them it was.
    addresses: list[str]
    #: In the words of the broker.
    text: str
    #: Topic or filter that was refused; empty for other kinds.
    topic: str = ""


class JoinTokenRequest(_Body):
    """A token with which machines may join."""

    #: Seconds until it ends.
    lifetime_s: float = Field(default=3600.0, gt=0, le=30 * 86_400)
    uses: int = Field(default=1, ge=1, le=10_000)
    #: The only node that may join with it, also when it has an account already; null: any new one.
    node: NodeId | None = None
    #: Groups of those who join.
    groups: list[_Group] = Field(default=[], max_length=32)


class JoinToken(BaseModel):
    """Answer to ``POST join-tokens``; the token is shown this once."""

    id: int
    #: Secret, ``#``, and the fingerprint of the authority by which the machine knows the right hub.
    token: str
    #: ``host:port`` for ``iothub-agent join``.
    address: str
    expires: Time
    uses: int
    node: str | None


class JoinTokenInfo(BaseModel):
    """One token that is still good."""

    id: int
    created: Time
    expires: Time
    uses_left: int
    node: str | None
    groups: list[str]
    by: str


class JoinRequest(_Body):
    """What a machine says when it joins."""

    token: str = Field(min_length=16, max_length=128)
    node: NodeId


class Joined(BaseModel):
    """What it is told."""

    node: str
    credentials: Credentials
    mqtt: Broker
    #: With this it may leave, later.
    leave_token: str


class LeaveRequest(_Body):
    """What a machine says when it leaves."""

    node: NodeId
    leave_token: str = Field(min_length=16, max_length=128)
