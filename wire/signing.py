"""Operator signatures on commands: Ed25519 over one canonical text that names the node, so that it fits no other.

    operator  sign(command, node, name, key) ─▶ Command with nonce, operator and signature ─▶ cmd/{name}
    node      verify(command, node, name, keys) ─▶ who signed it; that the nonce is fresh, the node's memory knows

What is signed are the bytes of :func:`signed_bytes`: the line ``iothub-command-v1``, then one JSON object with the
keys ``args command expires id node nonce operator timeout`` (``null`` where a key is left out), sorted at every depth,
without spaces, as UTF-8.

Files: ``{operator}.key`` holds the private key (PEM, PKCS 8, mode 0600), ``{operator}.pub`` the line
``ed25519:BASE64``, which is also what a node's settings hold.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import TYPE_CHECKING, Final

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from wire.errors import WireError
from wire.messages import Command

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Ends of the names of key files.
PRIVATE_SUFFIX: Final = ".key"
PUBLIC_SUFFIX: Final = ".pub"
_PREFIX: Final = "ed25519:"
_DOMAIN: Final = b"iothub-command-v1\n"
_NONCE_BYTES: Final = 16
_LONGEST_NONCE: Final = 64

PrivateKey = Ed25519PrivateKey
PublicKey = Ed25519PublicKey


class SignatureRefused(WireError):  # noqa: N818  the name says what the caller does
    """A command that is not signed as it must be; the text is for the operator."""


class KeyUnusable(WireError):  # noqa: N818  the name says what is wrong
    """A key that cannot be read; the text says what one looks like."""


def new_key() -> PrivateKey:
    """Make a private key."""
    return Ed25519PrivateKey.generate()


def private_pem(key: PrivateKey) -> bytes:
    """The content of ``{operator}.key``."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read_private(pem: bytes) -> PrivateKey:
    """Read the content of ``{operator}.key``.

    Raises:
        KeyUnusable: no PEM, encrypted, or no Ed25519 key.
    """
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnusable(f"not a private key in PEM (PKCS 8, unencrypted): {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(f"an Ed25519 key is needed, this is {type(key).__name__}")
    return key


def public_text(key: PrivateKey | PublicKey) -> str:
    """``ed25519:BASE64``: the content of ``{operator}.pub``, and what a node's settings hold."""
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    return _PREFIX + base64.b64encode(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def read_public(text: str) -> PublicKey:
    """Read ``ed25519:BASE64``.

    Raises:
        KeyUnusable: anything else.
    """
    prefix, _, encoded = text.strip().partition(":")
    try:
        return Ed25519PublicKey.from_public_bytes(_from_base64(encoded if prefix + ":" == _PREFIX else ""))
    except ValueError as error:
        raise KeyUnusable(f"a public key is {_PREFIX} and 32 bytes in base64, not {text.strip()[:60]!r}") from error


def sign(command: Command, node: str, name: str, key: PrivateKey, operator: str) -> Command:
    """The command ``name`` for ``node`` with ``operator``, a new ``nonce`` and ``signature``.

    Raises:
        ValueError: without ``id`` or ``expires``: nodes refuse that.
    """
    if command.id is None or command.expires is None:
        raise ValueError("a signed command needs id and expires")
    nonce = secrets.token_hex(_NONCE_BYTES)
    unsigned = msgspec.structs.replace(command, operator=operator, nonce=nonce, signature=None)
    # As the node will read it: what cannot travel must fail here, and not there.
    travelled = msgspec.json.decode(msgspec.json.encode(unsigned), type=Command)
    signature = key.sign(signed_bytes(travelled, node, name))
    return msgspec.structs.replace(travelled, signature=base64.b64encode(signature).decode())


def verify(command: Command, node: str, name: str, keys: Mapping[str, PublicKey]) -> str:
    """The operator whose key of ``keys`` signed ``command`` as ``name`` for ``node``.

    Whether it is expired, and whether its nonce was used before, the caller must check.

    Raises:
        SignatureRefused: not signed, incomplete, by nobody known, or changed after it was signed.
    """
    if command.signature is None:
        raise SignatureRefused("not signed: this node takes commands of its operators only")
    missing = [key for key in ("id", "expires", "nonce", "operator") if getattr(command, key) is None]
    if missing:
        raise SignatureRefused(f"signed, but without {', '.join(missing)}")
    if not _NONCE_BYTES <= len(command.nonce or "") <= _LONGEST_NONCE:
        raise SignatureRefused(f"the nonce must have {_NONCE_BYTES} to {_LONGEST_NONCE} characters")
    operator = command.operator or ""
    if operator not in keys:
        raise SignatureRefused(f"this node has no key of operator {operator[:64]!r}")
    try:
        keys[operator].verify(_from_base64(command.signature), signed_bytes(command, node, name))
    except (InvalidSignature, ValueError) as error:
        raise SignatureRefused(
            f"the signature is not one of operator {operator!r} on this command for this node"
        ) from error
    return operator


def signed_bytes(command: Command, node: str, name: str) -> bytes:
    """What the signature covers; all of the request but the signature itself."""
    covered = {
        "args": command.args,
        "command": name,
        "expires": command.expires,
        "id": command.id,
        "node": node,
        "nonce": command.nonce,
        "operator": command.operator,
        "timeout": command.timeout,
    }
    return _DOMAIN + msgspec.json.encode(covered, order="deterministic")


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
