"""The broker's port: free, taken and by whom."""

from __future__ import annotations

import errno
import socket
from typing import Final

import psutil

from hub.broker.errors import BrokerError, PortTaken

_PRIVILEGED: Final = 1024
_PROGRAM: Final = "mosquitto"


def claim_port(host: str, port: int, *, setting: str = "mqtt.port") -> int:
    """``port`` when nothing listens there; a free one when it is 0.

    The port is let go again before the broker takes it: that another program is faster is unlikely, and
    :func:`taken` explains it then.

    Raises:
        PortTaken: something listens there.
        BrokerError: this user may not listen on it, or ``host`` is no address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As Mosquitto does: a port whose last connections are still in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError as error:
            raise BrokerError(not_permitted(port)) from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(taken(port, setting), port) from error
            raise BrokerError(
                f"the broker cannot listen on {host}:{port} ({setting.rpartition('.')[0]}.host): {error.strerror}"
            ) from error
        free: int = probe.getsockname()[1]
        return free


def taken(port: int, setting: str = "mqtt.port") -> str:
    """What to tell people when ``port`` is in use."""
    owner = listener(port)
    if owner is not None:
        who, is_mosquitto = f"{owner.name()} (pid {owner.pid})", owner.name() == _PROGRAM
    else:
        # Whose socket it is, the kernel tells the owner and root only; who runs, it tells everybody.
        other = next((p.pid for p in psutil.process_iter(["name"]) if p.info["name"] == _PROGRAM), None)
        who = "another process" if other is None else f"another process, probably {_PROGRAM} (pid {other})"
        is_mosquitto = other is not None
    if is_mosquitto:
        who += "; Debian's package starts a broker of its own, `sudo systemctl disable --now mosquitto` ends it"
    if setting != "mqtt.port":
        return f"port {port} is taken by {who}. Choose another one: {setting} in iothub.toml"
    return (
        f"port {port} is taken by {who}. Choose another port for the broker: mqtt.port in iothub.toml or "
        f'IOTHUB_MQTT__PORT (0 = any free one); or use the broker that runs there: broker.mode = "external".'
    )


def not_permitted(port: int) -> str:
    """What to tell people when this user may not listen on ``port``."""
    why = f" Ports below {_PRIVILEGED} are for root." if port < _PRIVILEGED else ""
    return (
        f"no permission to listen on port {port}.{why} Choose another: mqtt.port in iothub.toml or IOTHUB_MQTT__PORT."
    )


def listener(port: int) -> psutil.Process | None:
    """The process that listens on ``port``, as far as this user may know."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return psutil.Process(connection.pid)
    except psutil.Error:
        return None  # macOS tells root only; or it ended just now
    return None
