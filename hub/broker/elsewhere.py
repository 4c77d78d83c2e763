"""Makes ready on disk what a broker needs that somebody else starts: a container, a service of its own.

    {folder}/                     as prepare.py says: mosquitto.conf, data/ with the accounts
    {state}/secrets/mqtt-*        passwords of hub, operator and admin
    NAME=FILE                     password of a node, where its agent finds it

The broker is started inside ``{folder}/data`` with ``-c {folder}/mosquitto.conf``, as the user who ran this. The hub
then runs with ``broker.mode = "external"``, account and client id ``hub``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.broker import locate
from hub.broker.config import Place
from hub.broker.prepare import lay_out, own_accounts
from hub.broker.rights import new_password, node_account
from hub.paths import read_secret, write_secret
from wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hub.broker.rights import Account
    from hub.config import Settings
    from hub.paths import StatePaths


def make_ready(
    settings: Settings, paths: StatePaths, folder: Path, *, listen: str, plugin: Path, nodes: Mapping[str, Path]
) -> Path:
    """Write configuration, accounts and passwords; the path of the configuration.

    To be called while that broker does not run: it rewrites its accounts at every change. A second call changes
    nothing that is right already.

    Args:
        settings: ``mqtt.port`` is the one it listens on.
        paths: of the hub; the directories exist.
        folder: made if it is not there.
        listen: address it listens on; that nobody else reaches it is the caller's to see to.
        plugin: dynamic security, as the broker finds it: it may live in another container.
        nodes: node id, and the file that holds its password, or is to.

    Raises:
        TopicError: a node's name is outside the grammar of node ids.
        NameReserved: the hub itself uses it.
        AccountsBroken: the file of accounts is there and cannot be read; it is left as it is.
        OSError: a file cannot be written.
    """
    topics = Topics(settings.mqtt.root)
    # Names are checked before anything is written.
    for node in nodes:
        node_account(node, "", topics)
    user = locate.run_as()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = Place(listen, settings.mqtt.port, plugin, user.name if user is not None else None)
    accounts: list[Account] = own_accounts(settings, paths)
    accounts += [node_account(node, _kept(file), topics) for node, file in nodes.items()]
    owner = (user.uid, user.gid) if user is not None else None
    config, _ = lay_out(folder, place, settings, accounts, owner=owner)
    return config


def _kept(file: Path) -> str:
    """The password in ``file``; made where there is none."""
    if file.exists() and (password := read_secret(file)):
        return password
    password = new_password()
    write_secret(file, password)
    return password
