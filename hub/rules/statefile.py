"""The engine's state on disk: one file, replaced as a whole, so that it is never half written.

engine ─▶ state() in the event loop ─▶ msgpack, write, fsync, rename in a thread ─▶ rules-state.msgpack
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from hub.rules.freezing import together
from hub.rules.state import VERSION, EngineState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from hub.rules.engine import Engine

NAME: Final = "rules-state.msgpack"
_LENGTH_BYTES: Final = 4

_log: Final = structlog.get_logger("hub.rules")


class RuleStateFile:
    """Reads the state once, writes it now and then.

    Args:
        path: the file; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failing = False

    def read(self) -> EngineState:
        """What was saved; nothing where there is no file, or none that this version can read (said in the log)."""
        try:
            state = together(_parts(self._path.read_bytes()))
        except FileNotFoundError:
            return EngineState()
        except (OSError, msgspec.DecodeError) as error:
            aside = self._path.with_name(self._path.name + ".damaged")
            _log.error(
                "the state of the rules cannot be read: timers and windows begin anew",
                file=str(self._path),
                kept_as=str(aside),
                why=str(error),
            )
            try:
                self._path.replace(aside)
            except OSError as failed:
                _log.error("and cannot be moved aside", file=str(self._path), why=str(failed))
            return EngineState()
        return state

    async def write(self, engine: Engine) -> None:
        """Write what the engine knows now. A disk that fails is said once, until it works again."""
        parts = []
        for part in engine.state_parts():
            parts.append(msgspec.msgpack.encode(part))
            await asyncio.sleep(0)
        try:
            await asyncio.to_thread(self._write, parts)
        except OSError as error:
            if not self._failing:
                _log.error(
                    "the state of the rules cannot be written, trying again",
                    file=str(self._path),
                    why=error.strerror or str(error),
                )
            self._failing = True
            return
        if self._failing:
            _log.info("the state of the rules is written again", file=str(self._path))
        self._failing = False

    async def keep(self, engine: Engine, every_s: float) -> None:
        """Write every so often, for ever, and once more when cancelled."""
        try:
            while True:
                await asyncio.sleep(every_s)
                await self.write(engine)
        finally:
            await asyncio.shield(self.write(engine))

    def _write(self, parts: Sequence[bytes]) -> None:
        partial = self._path.with_name(self._path.name + ".new")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for part in parts:
                file.write(len(part).to_bytes(_LENGTH_BYTES, "big"))
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._path)


def _parts(content: bytes) -> Iterator[EngineState]:
    """The parts of a file.

    Raises:
        msgspec.DecodeError: it is cut off, of another version, or none of ours.
    """
    at = 0
    while at < len(content):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(content[at:start], "big")
        if at > len(content):
            raise msgspec.DecodeError(f"cut off after {len(content)} bytes")
        part = msgspec.msgpack.decode(content[start:at], type=EngineState)
        if part.version != VERSION:
            raise msgspec.DecodeError(f"version {part.version}, this iothub knows {VERSION}")
        yield part
