"""Public keys of operators that the hub holds, ``{operator}.pub`` each: they tell whose signature a command has."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import structlog

from wire.signing import PUBLIC_SUFFIX, KeyUnusable, PublicKey, SignatureRefused, read_public, verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wire.messages import Command

#: The folder is looked at again this often, so that a new operator needs no restart.
_FRESH_S: Final = 5.0

_log: Final = structlog.get_logger("hub.commands")


class OperatorKeys:
    """The keys in one folder, which need not exist."""

    def __init__(self, folder: Path, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock_s = clock_s
        self._keys: dict[str, PublicKey] = {}
        self._read_s = float("-inf")

    def check(self, command: Command, node: str, name: str) -> bool | None:
        """Whether the signature is the named operator's; None: the hub holds no key of that name."""
        keys = self._fresh()
        if command.operator not in keys:
            return None
        try:
            verify(command, node, name, keys)
        except SignatureRefused:
            return False
        return True

    def _fresh(self) -> dict[str, PublicKey]:
        now_s = self._clock_s()
        if now_s - self._read_s >= _FRESH_S:
            self._keys, self._read_s = self._read(), now_s
        return self._keys

    def _read(self) -> dict[str, PublicKey]:
        found = {}
        for path in sorted(self._folder.glob(f"*{PUBLIC_SUFFIX}")):
            try:
                found[path.stem] = read_public(path.read_text(encoding="utf-8"))
            except (KeyUnusable, OSError, UnicodeDecodeError) as error:
                _log.warning("an operator's key cannot be used", file=str(path), why=str(error))
        return found
