"""Finding Mosquitto, its plugin and the user it runs as; and what to install where they are missing."""

from __future__ import annotations

import os
import platform
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hub.broker.errors import BrokerMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PLUGIN: Final = "mosquitto_dynamic_security.so"
#: Debian keeps servers in /usr/sbin, which is not on the PATH of ordinary users; brew's folders are not on cron's.
_ALSO: Final = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin", "/opt/homebrew/opt/mosquitto/sbin")
#: Where distributions put the plugin: Debian (any architecture), Fedora, Alpine and Arch, own builds, brew.
_PLUGIN_FOLDERS: Final = (
    "/usr/lib/*",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib/*",
    "/usr/local/lib64",
    "/usr/local/lib",
    "/opt/homebrew/lib",
    "/opt/homebrew/opt/mosquitto/lib",
    "/usr/local/opt/mosquitto/lib",
)
#: Package manager → command; the first one found is shown.
_INSTALL: Final = {
    "apt-get": "sudo apt-get install mosquitto",
    "dnf": "sudo dnf install mosquitto",
    "brew": "brew install mosquitto",
    "apk": "sudo apk add mosquitto",
    "pacman": "sudo pacman -S mosquitto",
    "zypper": "sudo zypper install mosquitto",
}
#: Users that Mosquitto gives up root for; the first that exists.
_USERS: Final = ("mosquitto", "_mosquitto", "nobody")


@dataclass(frozen=True, slots=True)
class RunAs:
    """The user that a Mosquitto started by root becomes."""

    name: str
    uid: int
    gid: int


def find_program(program: str) -> Path:
    """Absolute path of ``program``, a name or a path.

    Raises:
        BrokerMissing: it is not there; the message says what to install on this machine.
    """
    search = os.pathsep.join((os.environ.get("PATH", os.defpath), *_ALSO))
    found = shutil.which(program, path=search)
    if found is None:
        looked = "is not an executable file" if os.sep in program else f"is neither on PATH nor in {', '.join(_ALSO)}"
        raise BrokerMissing(
            f"the MQTT broker is missing: {program!r} (setting broker.program) {looked}. Install it: {install_hint()}. "
            'Or use a broker that runs elsewhere: broker.mode = "external", and its address in [mqtt].'
        )
    return Path(found).resolve()


def find_plugin(program: Path, folders: Iterable[str] = _PLUGIN_FOLDERS) -> Path:
    """Path of the dynamic-security plugin; one installed beside ``program`` wins.

    Raises:
        BrokerMissing: no such file; the message names the places.
    """
    prefix = program.parent.parent
    places = [f"{prefix}/lib/*", f"{prefix}/lib64", f"{prefix}/lib", *folders]
    for place in places:
        # Path.glob wants a relative pattern: the leading slash is the folder it starts from.
        for found in sorted(Path("/").glob(f"{place.lstrip('/')}/{PLUGIN}")):
            if found.is_file():
                return found
    raise BrokerMissing(
        f"Mosquitto's dynamic-security plugin is missing: no {PLUGIN} in {', '.join(dict.fromkeys(places))}. "
        f"The hub needs it to give each node rights of its own (Mosquitto 2.0.11 or newer, built with cJSON). "
        f"Install the full package: {install_hint()}."
    )


def install_hint(which: Callable[[str], str | None] = shutil.which) -> str:
    """The command that installs Mosquitto on this machine, or where to read on."""
    for manager, command in _INSTALL.items():
        if which(manager) is not None:
            return command
    return f"see https://mosquitto.org/download for {platform.system()}"


def run_as() -> RunAs | None:
    """The user Mosquitto becomes when we are root; None when we are not: it then stays who we are."""
    if os.geteuid() != 0:
        return None
    for name in _USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return RunAs(name, entry.pw_uid, entry.pw_gid)
    raise BrokerMissing(
        f"Mosquitto must not keep running as root, and none of the users {', '.join(_USERS)} exists on this machine. "
        "Create one: useradd --system mosquitto"
    )
