"""Makes the managed broker ready on disk.

    program ─▶ plugin ─▶ port ─▶ secrets ─▶ accounts file ─▶ mosquitto.conf ─▶ MosquittoChild

    {state}/mosquitto/             ours        0700
    ├── mosquitto.conf             ours        0600   read before the broker gives root up
    └── data/                      broker's    0700   its working directory
        ├── dynamic-security.json  broker's    0600   accounts and rights
        ├── mosquitto.db           broker's    0600   sessions, queues, retained messages
        └── ca.crt, server.crt …   broker's    0600   where it listens on the network: hub/broker/lan.py

"Broker's" is the user ``mosquitto`` when root starts it, and who we are otherwise. A broker that has given root up
cannot walk through our folders, and needs not: it is started inside its own, and all its paths are relative. The
configuration lies outside, so that a broker that was taken over cannot have the next start, which is root's, load a
plugin of its own.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

import structlog

from hub.broker import dynsec, lan, locate
from hub.broker.child import MosquittoChild
from hub.broker.config import ACCOUNTS_FILE, PERSISTENCE_FILE, Place, loopback, render
from hub.broker.credentials import AGENT, kept_password
from hub.broker.errors import AccountsBroken, BrokerError
from hub.broker.ports import claim_port
from hub.broker.rights import ADMIN, HUB, OPERATOR, admin_account, hub_account, node_account, operator_account
from hub.paths import write_secret
from wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hub.broker.rights import Account
    from hub.config import Settings
    from hub.paths import StatePaths

_CONFIG_FILE: Final = "mosquitto.conf"
_DATA_FOLDER: Final = "data"
#: ``sh`` goes to the working directory and becomes the broker: same process, and any supervisor can start it.
_IN_FOLDER: Final = 'cd -- "$1" && exec "$2" -c "$3"'

_log = structlog.get_logger("hub.broker")


def prepare(settings: Settings, paths: StatePaths, *, agent_node: str | None = None) -> MosquittoChild:
    """Write configuration, accounts and secrets of the managed broker; to be called while it does not run.

    Args:
        settings: ``mqtt.port`` 0 takes a free port; the result says which.
        paths: the directories exist (``paths.make()``).
        agent_node: node id of the agent that ``iothub up`` runs; it gets an account like any node's.

    Raises:
        BrokerError: BrokerMissing, PortTaken, LanRefused, AccountsBroken, NameReserved; each says what to do.
        SettingsError: ``mqtt.host`` is not loopback.
        OSError: a file of the state directory cannot be written; names the path.
    """
    host = loopback(settings.mqtt.host)
    program = locate.find_program(settings.broker.program)
    plugin = locate.find_plugin(program)
    user = locate.run_as()
    owner = (user.uid, user.gid) if user is not None else None
    certificates = lan.admitted(settings, paths)
    port = claim_port(host, settings.mqtt.port)
    lan.claim_ports(settings.broker.lan)

    topics = Topics(settings.mqtt.root)
    agent = [] if agent_node is None else [node_account(agent_node, kept_password(paths, AGENT), topics)]
    place = Place(host, port, plugin, user.name if user is not None else None)
    config, data = lay_out(paths.broker, place, settings, [*own_accounts(settings, paths), *agent], owner=owner)
    if certificates is not None:
        lan.install(certificates, data, owner)
    return MosquittoChild(
        argv=("/bin/sh", "-c", _IN_FOLDER, "mosquitto", str(data.resolve()), str(program), str(config.resolve())),
        # The reasons in its log come from the C library; explain_exit reads English.
        env={"LC_ALL": "C"},
        host=host,
        port=port,
        config=config,
        data=data,
    )


def own_accounts(settings: Settings, paths: StatePaths) -> list[Account]:
    """The accounts of the hub itself; their passwords are made at the first call and kept in the secrets folder.

    Raises:
        OSError: a secret cannot be read or written.
    """
    topics = Topics(settings.mqtt.root)
    return [
        admin_account(kept_password(paths, ADMIN)),
        hub_account(kept_password(paths, HUB), topics, [source.filter for source in settings.sources]),
        operator_account(kept_password(paths, OPERATOR), topics),
    ]


def lay_out(
    folder: Path, place: Place, settings: Settings, accounts: Sequence[Account], *, owner: tuple[int, int] | None = None
) -> tuple[Path, Path]:
    """Write all that a broker started in ``folder / "data"`` needs; its configuration, and that working directory.

    Args:
        folder: exists.
        place: where it listens, and its plugin.
        settings: what the configuration says of queues and limits.
        accounts: must be there as they are here; others are kept.
        owner: user and group the broker becomes; ours when None.

    Raises:
        AccountsBroken, BrokerError, OSError: as :func:`prepare`.
    """
    data = folder / _DATA_FOLDER
    data.mkdir(mode=0o700, exist_ok=True)
    data.chmod(0o700)
    if owner is not None:
        _hand_over(data, owner)
    repair_accounts(data / ACCOUNTS_FILE, accounts, Topics(settings.mqtt.root), owner=owner)
    config = folder / _CONFIG_FILE
    write_secret(config, render(place, settings.broker, settings.ingest.session_expiry).rstrip())
    return config, data


def repair_accounts(
    file: Path, accounts: Sequence[Account], topics: Topics, *, owner: tuple[int, int] | None = None
) -> None:
    """Make sure that ``accounts`` are in ``file`` as they must be; others in it are kept. What changes is logged.

    Raises:
        AccountsBroken: the file is there and cannot be read as the plugin's; it is left as it is.
    """
    try:
        existing = dynsec.parse(file.read_bytes())
    except FileNotFoundError:
        existing = None
    except AccountsBroken as error:
        raise AccountsBroken(
            f"the broker's accounts in {file} are damaged ({error}). Put a copy back, or remove the file: "
            "the hub's own accounts are then made anew, those of devices have to be added again: `iothub nodes add`."
        ) from error
    document, changes = dynsec.repaired(existing, accounts, topics)
    if not changes:
        return
    write_secret(file, dynsec.encode(document), owner=owner)
    if existing is None:
        _log.info("accounts of the broker made", file=str(file), accounts=[account.username for account in accounts])
    else:
        _log.warning("accounts of the broker repaired", file=str(file), changes=changes)


def _hand_over(data: Path, owner: tuple[int, int]) -> None:
    """Give the broker's folder and files to the user it runs as; links in there are not followed."""
    os.chown(data, *owner, follow_symlinks=False)
    for name in (ACCOUNTS_FILE, PERSISTENCE_FILE):
        path = data / name
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise BrokerError(f"{path} is not a plain file of the broker; move it away and start again")
        os.chown(path, *owner, follow_symlinks=False)
