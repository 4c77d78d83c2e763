"""Messages other than telemetry: status, commands, replies, receipts. Encoded and decoded here only."""

from __future__ import annotations

import enum
from typing import Annotated, Any, TypeVar

import msgspec

from wire.errors import PayloadError, Reason
from wire.surrogates import mended

_M = TypeVar("_M", bound=msgspec.Struct)
_FIRST_BYTES = 80

#: Whole numbers that fit 64 bits, as every reader and database holds them.
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class NodeState(enum.StrEnum):
    """State in a status message."""

    ONLINE = "online"
    OFFLINE = "offline"


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    """Birth (``online``), announced end and will (``offline``); retained."""

    state: NodeState
    #: Unix time in ms at which the node wrote it; wills carry the time of the connection.
    ts: _Count | None = None
    #: Changes whenever the node's sequence numbers start anew.
    session: str | None = None
    version: str | None = None
    #: Why a node goes offline: ``shutdown`` when announced, ``connection lost`` in a will.
    reason: str | None = None
    #: True when the node keeps messages until a receipt covers them.
    outbox: bool = False
    #: Inventory: host name, operating system, addresses, …
    info: dict[str, Any] = {}


class Command(msgspec.Struct, frozen=True, omit_defaults=True):
    """Request on ``cmd/{command}``; every key is optional."""

    id: str | None = None
    args: dict[str, Any] = {}
    #: Seconds the command may run.
    timeout: Annotated[float, msgspec.Meta(ge=0)] | None = None
    #: Unix time in ms after which the node must not start it.
    expires: _Count | None = None
    #: Who signed it, a text never used before, and the signature in base64; see wire/signing.py.
    operator: str | None = None
    nonce: str | None = None
    signature: str | None = None


class ReplyState(enum.StrEnum):
    """State in a reply; all but the first two are final."""

    ACCEPTED = "accepted"
    OUTPUT = "output"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    EXPIRED = "expired"

    @property
    def final(self) -> bool:
        """Whether no further reply follows."""
        return self not in (ReplyState.ACCEPTED, ReplyState.OUTPUT)


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of the reply stream on ``reply/{id}``."""

    id: str
    n: _Count
    state: ReplyState
    stream: str | None = None
    data: str | None = None
    code: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    result: dict[str, Any] | None = None


class Receipt(msgspec.Struct, frozen=True):
    """Everything of ``session`` up to and including ``seq`` is durably stored."""

    seq: _Count
    session: str


def encode(message: msgspec.Struct) -> bytes:
    """Encode any message of this file as JSON."""
    return msgspec.json.encode(message)


def decode(payload: bytes, kind: type[_M]) -> _M:
    """Decode JSON into ``kind``; an empty payload is an empty object, half characters become U+FFFD.

    Raises:
        PayloadError: not UTF-8, not JSON, too deep or not of that shape; the detail names the first bytes.
    """
    try:
        return msgspec.json.decode(mended(payload.decode()) if b"\\u" in payload else payload or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise PayloadError(Reason.WRONG_SHAPE, f"{error}; starts with {first_bytes(payload)}") from error
    except msgspec.DecodeError as error:
        raise PayloadError(Reason.NOT_JSON, f"{error}; starts with {first_bytes(payload)}") from error
    except RecursionError as error:
        raise PayloadError(Reason.TOO_DEEP, f"nested too deep; starts with {first_bytes(payload)}") from error
    except UnicodeDecodeError as error:
        raise PayloadError(Reason.NOT_UTF8, f"{error.reason}; starts with {first_bytes(payload)}") from error


def first_bytes(payload: bytes) -> str:
    """The start of a payload for error texts: printable, at most 80 bytes of it."""
    shown = repr(payload[:_FIRST_BYTES])[1:]
    return shown + ("…" if len(payload) > _FIRST_BYTES else "")
