"""Which address, user name, password and client id the hub and its own parts use.

broker.mode = managed   accounts of our own broker, passwords in the secrets folder of the state directory
broker.mode = external  what [mqtt] says; the accounts are made by whoever runs that broker
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from hub.broker.config import loopback
from hub.broker.errors import NotAuthorised
from hub.broker.rights import ADMIN, HUB, OPERATOR, new_password
from hub.config import BrokerMode
from hub.paths import read_secret, write_secret

if TYPE_CHECKING:
    from pathlib import Path

    from hub.config import Settings
    from hub.paths import StatePaths
    from wire.settings import MqttSettings

#: The agent of ``iothub up`` has the account of its node; only the file of its password bears this name.
AGENT: Final = "agent"


def for_hub(settings: Settings, paths: StatePaths, *, port: int | None = None) -> MqttSettings:
    """How the hub connects. Its client id is the same at each start: its session waits for it on the broker.

    ``port``: the one the managed broker really has, where ``mqtt.port`` is 0.
    """
    if settings.broker.mode is BrokerMode.EXTERNAL:
        return settings.mqtt.model_copy(update={"client_id": settings.mqtt.client_id or f"iothub-{settings.hub.id}"})
    return _managed(settings, HUB, HUB, _file(paths, HUB), port)


def for_agent(settings: Settings, paths: StatePaths, node: str, *, port: int | None = None) -> MqttSettings:
    """How the agent that ``iothub up`` runs connects as ``node``."""
    if settings.broker.mode is BrokerMode.EXTERNAL:
        return settings.mqtt.model_copy(update={"client_id": node})
    return _managed(settings, node, node, _file(paths, AGENT), port)


def for_operator(settings: Settings, paths: StatePaths, *, port: int | None = None) -> MqttSettings:
    """How the commands of the CLI connect; each call gives another client id, so that they do not end each other.

    A broker that ``iothub broker init`` made ready has an account for it, too: that of the hub is bound to the hub's
    client id. On any other external broker the CLI has the hub's account.
    """
    client_id = _unique(OPERATOR)
    if settings.broker.mode is BrokerMode.EXTERNAL:
        file = _file(paths, OPERATOR)
        is_ours = settings.mqtt.username == HUB and file.exists()
        own = {"username": OPERATOR, "password": None, "password_file": file} if is_ours else {}
        return settings.mqtt.model_copy(update={"client_id": client_id, **own})
    return _managed(settings, OPERATOR, client_id, _file(paths, OPERATOR), port)


def for_admin(settings: Settings, paths: StatePaths, *, port: int | None = None) -> MqttSettings:
    """How :class:`hub.broker.accounts.Accounts` connects.

    Raises:
        NotAuthorised: the broker is external and nobody gave us the password of its ``admin`` account.
    """
    file = _file(paths, ADMIN)
    if settings.broker.mode is BrokerMode.EXTERNAL:
        if not file.exists():
            raise NotAuthorised(
                f"the broker at {settings.mqtt.host}:{settings.mqtt.port} is not run by this hub, which therefore "
                "cannot make accounts on it. Make the account there (mosquitto/README.md lists the rights of a node); "
                f"or, if it is a Mosquitto with the dynamic-security plugin, put the password of its account "
                f"{ADMIN!r} into {file} (mode 0600)."
            )
        update = {"username": ADMIN, "password": None, "password_file": file, "client_id": _unique(ADMIN)}
        return settings.mqtt.model_copy(update=update)
    return _managed(settings, ADMIN, _unique(ADMIN), file, port)


def password_of(mqtt: MqttSettings) -> str | None:
    """The password, read from its file where one is named.

    Raises:
        OSError: the file cannot be read.
    """
    if mqtt.password_file is not None:
        return read_secret(mqtt.password_file)
    return mqtt.password.get_secret_value() if mqtt.password is not None else None


def kept_password(paths: StatePaths, account: str) -> str:
    """Password of ``admin``, ``hub``, ``operator`` or ``agent`` on the managed broker; made at the first call."""
    path = _file(paths, account)
    if path.exists() and (password := read_secret(path)):
        return password
    password = new_password()
    write_secret(path, password)
    return password


def _file(paths: StatePaths, account: str) -> Path:
    return paths.secrets / f"mqtt-{account}"


def _managed(settings: Settings, username: str, client_id: str, file: Path, port: int | None) -> MqttSettings:
    return settings.mqtt.model_copy(
        update={
            "host": loopback(settings.mqtt.host),
            "port": settings.mqtt.port if port is None else port,
            "username": username,
            "password": None,
            "password_file": file,
            "client_id": client_id,
            "tls": False,
            "ca_file": None,
            "cert_file": None,
            "key_file": None,
        }
    )


def _unique(name: str) -> str:
    return f"{name}-{secrets.token_hex(4)}"
