"""The real host agent, ``python -m agent``, as a process that tests start, stop and kill; and what its outbox holds."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

from wire.outbox import DiskOutbox
from wire.outbox_file import OutboxFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from wire.outgoing import Entry

REPOSITORY = Path(__file__).parents[2]


class Agent:
    """The process, from the moment this is made; what it writes is added to ``log``."""

    def __init__(self, folder: Path, settings: str) -> None:
        self.log = folder / "agent.log"
        config = folder / "iothub.toml"
        config.write_text(settings, encoding="utf-8")
        argv = [sys.executable, "-m", "agent", "--config", str(config), "--state", str(folder / "state")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(argv, cwd=REPOSITORY, stdout=log, stderr=log, env=clean_environment())

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=60)


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("IOTHUB_")}


def outbox_path(folder: Path) -> Path:
    """Where the agent of this folder keeps its outbox."""
    return folder / "state" / "outbox.db"


def put_in_outbox(folder: Path, topic: str, count: int, encode: Callable[[int], bytes]) -> None:
    """Fill the outbox as an earlier run of the agent would have; it must not run now."""
    path = outbox_path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)

    async def fill() -> None:
        async with DiskOutbox(path) as outbox:
            for _ in range(count):
                outbox.append(topic, encode)

    asyncio.run(fill())


def in_outbox(folder: Path) -> list[Entry]:
    """What waits in the outbox of an agent that does not run."""
    file = OutboxFile(outbox_path(folder), max_bytes=None, sync=False)
    try:
        return file.read(0, 2**53, 1_000_000)
    finally:
        file.close()
