"""What runs on this machine, for tests that must leave nothing behind."""

from __future__ import annotations

import psutil


def is_running(pid: int) -> bool:
    """Alive, and no zombie that its new parent has not collected yet."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def marked(name: str, value: str) -> list[psutil.Process]:
    """Processes whose environment has ``name`` with a value that contains ``value``."""
    found = []
    for process in psutil.process_iter():
        try:
            if value in process.environ().get(name, ""):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found
