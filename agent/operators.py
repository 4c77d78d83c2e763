"""Whose commands this node takes: the public keys of its operators, and the check of each signature.

Without keys everything that the broker lets through is taken. With any, only what one of them signed for this node,
with an end (``expires``) that this node will not have forgotten by then; that the nonce is new, ``agent/remembered.py``
knows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from wire.errors import Problem, SettingsError
from wire.messages import Command

if TYPE_CHECKING:
    from collections.abc import Mapping


#: Given name, command and Unix time in ms: the operator, and why it is refused; neither where nothing need be signed.
Check = Callable[[str, Command, int], tuple[str | None, str | None]]


def anybody(_name: str, _command: Command, _now_ms: int) -> tuple[str | None, str | None]:
    """Take commands unsigned: the broker's accounts decide who may send them."""
    return None, None


def signed_only(operators: Mapping[str, str], node: str, *, keep_s: float) -> Check:
    """Take only commands that one of ``operators`` (public keys, or paths of files that hold one) signed.

    Raises:
        SettingsError: a key that cannot be read, or the library for signatures is not installed.
    """
    try:
        from wire.signing import KeyUnusable, SignatureRefused, read_public, verify  # noqa: PLC0415  an extra
    except ImportError as error:
        text = "signatures need the library cryptography: pip install 'iothub[signing]'"
        raise SettingsError([Problem("iothub.toml", None, "agent.commands.operators", None, text)]) from error

    keys, problems = {}, []
    for operator, told in operators.items():
        try:
            keys[operator] = read_public(_key_text(told))
        except (KeyUnusable, OSError, UnicodeDecodeError) as error:
            problems.append(Problem("iothub.toml", None, f"agent.commands.operators.{operator}", told, str(error)))
    if problems:
        raise SettingsError(problems)

    def check(name: str, command: Command, now_ms: int) -> tuple[str | None, str | None]:
        try:
            operator = verify(command, node, name, keys)
        except SignatureRefused as error:
            return None, str(error)
        if command.expires is not None and command.expires > now_ms + keep_s * 1000:
            return operator, f"expires more than {keep_s:g} s from now, longer than this node remembers nonces"
        return operator, None

    return check


def check_for(operators: Mapping[str, str], node: str, *, keep_s: float) -> Check:
    """The check that the settings ask for; raises as :func:`signed_only`."""
    return signed_only(operators, node, keep_s=keep_s) if operators else anybody


def _key_text(told: str) -> str:
    return told if told.startswith("ed25519:") else Path(told).read_text(encoding="ascii")
