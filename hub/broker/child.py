"""The managed broker as a supervisor sees it: what to start, when it is ready, why it ended."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hub.broker.config import PERSISTENCE_FILE
from hub.broker.locate import install_hint
from hub.broker.ports import not_permitted, taken

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_TRY_AGAIN_S: Final = 0.02
#: Its name among the children of ``iothub up``.
BROKER: Final = "mosquitto"


@dataclass(frozen=True, slots=True)
class MosquittoChild:
    """What a supervisor needs; :func:`hub.broker.prepare.prepare` makes it. The same values serve for every start."""

    argv: tuple[str, ...]
    #: To lay over the environment of the supervisor.
    env: dict[str, str]
    host: str
    port: int
    config: Path
    data: Path

    async def ready(self) -> None:
        """Return once the port accepts; the supervisor sets the limit, and cancels this when the broker ends first."""
        while True:
            try:
                _, writer = await asyncio.open_connection(self.host, self.port)
            except ConnectionError:
                await asyncio.sleep(_TRY_AGAIN_S)  # a listening socket sends no event to others
                continue
            writer.close()
            await writer.wait_closed()
            return

    def explain_exit(self, code: int | None, last_lines: Sequence[str]) -> str:
        """Why the broker ended, and what to do, from its exit code and the newest lines of its log."""
        said = [line.partition(": ")[2] or line for line in last_lines]
        text = "\n".join(said)
        wrong = next((line for line in said if line.startswith("Error: ") and "No such process" not in line), "")
        if "Address already in use" in text:
            return taken(self.port)
        if "Error found at " in text:
            return f"Mosquitto refuses its configuration {self.config}: {wrong.removeprefix('Error: ')} {_old(wrong)}"
        if "Unable to load " in text:
            return _unloadable(next(line for line in said if "Unable to load " in line), said[-1])
        if "Couldn't open database" in text:
            database = self.data / PERSISTENCE_FILE
            return (
                f"Mosquitto cannot read its sessions and retained messages in {database}. Move the file away "
                f"(`mv {database} {database}.broken`): nodes with an outbox send again what the hub does not have."
            )
        if "Permission denied" in text and "Opening ipv" in text:
            return not_permitted(self.port)
        ending = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        last = f"; it last said: {said[-1]}" if said else " and said nothing"
        return f"Mosquitto ended with {ending}{last}"


def _unloadable(line: str, last: str) -> str:
    """Why a file that the configuration names could not be used."""
    if "auth plugin" in line:
        return f"Mosquitto cannot load its dynamic-security plugin: {last}. {install_hint()}"
    return f"Mosquitto cannot use its certificates: {line.removeprefix('Error: ')} Make them anew: iothub tls renew"


def _old(wrong: str) -> str:
    """A likely cause for a refused configuration line."""
    known = "Unknown configuration variable" in wrong
    return "This Mosquitto is probably older than 2.0.11; install a newer one." if known else ""
