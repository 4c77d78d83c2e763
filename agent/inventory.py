"""What this host is: sent with each birth message."""

from __future__ import annotations

import hashlib
import hmac
import platform
import socket
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil

from agent.collectors.base import matches_any

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Our application id for deriving identifiers; machine-id(5) asks programs not to publish the machine id itself.
_APPLICATION: Final = bytes.fromhex("5b0c2f6e0f6a4f5f9d5a6c1f3c7be2a4")
_MACHINE_ID_FILES: Final = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)


class Inventory:
    """Reads what does not change once; addresses at each call, because they do."""

    def __init__(self, ignored_interfaces: Iterable[str] = ()) -> None:
        self._ignored_interfaces = tuple(ignored_interfaces)
        known: dict[str, Any] = {
            "os": platform.system(),
            "os_version": os_version(),
            "kernel": platform.release(),
            "architecture": platform.machine(),
            "cpu_model": cpu_model(),
            "cores": psutil.cpu_count(),
            "physical_cores": psutil.cpu_count(logical=False),
            "memory_bytes": psutil.virtual_memory().total,
            "machine_uuid": machine_uuid(),
            "python": platform.python_version(),
        }
        self._fixed = {name: value for name, value in known.items() if value}

    def read(self) -> dict[str, Any]:
        """The ``info`` of a birth message. What cannot be found out is left out."""
        return {"host_name": socket.gethostname(), **self._fixed, "addresses": self._addresses()}

    def _addresses(self) -> dict[str, list[str]]:
        """IP addresses by interface."""
        return {
            interface: found
            for interface, entries in psutil.net_if_addrs().items()
            if not matches_any(interface, self._ignored_interfaces)
            and (found := [entry.address for entry in entries if entry.family in _FAMILIES])
        }


def os_version() -> str:
    """``Debian GNU/Linux 12 (bookworm)``, ``14.5`` on macOS, the build on Windows."""
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return platform.mac_ver()[0] or platform.version()


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name in the words of its maker; the board's on ARM machines that tell no other."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    told = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return next((told[name] for name in ("model name", "Hardware", "Model") if told.get(name)), platform.processor())


def machine_uuid(files: Iterable[Path] = _MACHINE_ID_FILES) -> str:
    """An id that this installation keeps, derived from the machine id as machine-id(5) says; empty if there is none."""
    for file in files:
        try:
            machine_id = bytes.fromhex(file.read_text(encoding="ascii").strip())
        except (OSError, ValueError):
            continue
        return str(uuid.UUID(bytes=hmac.new(machine_id, _APPLICATION, hashlib.sha256).digest()[:16], version=4))
    return ""
