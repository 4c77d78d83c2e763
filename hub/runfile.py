"""How the parts of one state directory find the hub that runs there: ``run.json``, and the line a hub says when ready.

hub ready ─▶ run.json (mode 0600)              read by every command; removed when the hub stops
         └─▶ announcement on standard output   read by ``iothub up`` (``iothub hub --json``)
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from hub.paths import write_secret

if TYPE_CHECKING:
    from pathlib import Path


class Running(msgspec.Struct, frozen=True):
    """A hub that runs."""

    #: Process id of the hub.
    pid: int
    #: E.g. ``http://127.0.0.1:8080``.
    api_url: str
    broker_host: str
    broker_port: int
    state: str
    hub: str
    version: str


class Announcement(msgspec.Struct, frozen=True):
    """What a hub says once when it is ready."""

    running: Running
    #: Only at the very first start; to be shown once and kept nowhere.
    admin_password: str | None = None


def write_run(path: Path, running: Running) -> None:
    """Write the file, mode 0600, at once or not at all."""
    write_secret(path, msgspec.json.encode(running).decode())


def read_run(path: Path) -> Running | None:
    """What runs, or None: no file, not ours, or left over by a process that is gone."""
    try:
        running = msgspec.json.decode(path.read_bytes(), type=Running)
    except (OSError, msgspec.DecodeError):
        return None
    return running if is_alive(running.pid) else None


def remove_run(path: Path, pid: int) -> None:
    """Remove the file unless another process has written its own since."""
    running = read_run(path)
    if running is None or running.pid == pid:
        path.unlink(missing_ok=True)


def announce(announcement: Announcement) -> str:
    """The announcement as one line."""
    return msgspec.json.encode(announcement).decode()


def parse_announcement(line: str) -> Announcement | None:
    """The announcement in ``line``; None when it is something else."""
    try:
        return msgspec.json.decode(line, type=Announcement)
    except msgspec.DecodeError:
        return None


def is_alive(pid: int) -> bool:
    """Whether a process of that id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
