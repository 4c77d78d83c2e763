"""Accounts of nodes on a running broker: made, removed and renewed at once, without a restart.

accounts = Accounts(for_admin(settings, paths))
credentials = await accounts.add_node("dev1")
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.broker.control import LIMIT_S, Control
from hub.broker.errors import AccountError, AccountExists, NoSuchAccount
from hub.broker.rights import check_node_name, new_password, node_account, node_of, role_of
from wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hub.broker.control import Json
    from wire.settings import MqttSettings


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a node needs to connect; the password is shown once and kept nowhere but hashed on the broker."""

    node: str
    username: str
    password: str
    client_id: str


class Accounts:
    """Node accounts of one broker; its calls may run concurrently, and for as long as the hub runs.

    Each call connects anew (a few ms): a broker that was restarted, or a password of admin that was changed, needs
    nothing here.

    Raises, from every call, beside what is named there:
        TopicError: the name is outside the grammar of node ids.
        NameReserved: the hub itself uses it.
        AccountError: BrokerSilent, NotAuthorised or PluginMissing, see :class:`hub.broker.control.Control`.
    """

    def __init__(self, mqtt: MqttSettings, *, limit_s: float = LIMIT_S) -> None:
        """``mqtt``: as :func:`hub.broker.credentials.for_admin` says."""
        self._mqtt = mqtt
        self._limit_s = limit_s
        self._topics = Topics(mqtt.root)
        #: One client id, thus one connection at a time.
        self._turn = asyncio.Lock()

    async def add_node(self, node: str) -> Credentials:
        """Make account and role of ``node``; it may connect at once.

        Raises:
            AccountExists: there is one; nothing was changed.
        """
        account = node_account(node, new_password(), self._topics)
        role = {"rolename": account.role, "acls": list(account.acls)}
        client = {
            "username": account.username,
            "password": account.password,
            "clientid": account.client_id,
            "roles": [{"rolename": account.role}],
        }
        async with self._control() as control:
            made_role, made_client = await control.ask(
                {"command": "createRole", **role}, {"command": "createClient", **client}
            )
            if "error" in made_client:
                if "error" not in made_role:
                    await control.ask({"command": "deleteRole", "rolename": account.role})
                raise _translated(made_client, node)
            if "error" in made_role:
                # Left over from an account that was removed by other means; it may say something else than it must.
                (changed,) = await control.ask({"command": "modifyRole", **role})
                _check(changed, node)
        return Credentials(node, account.username, account.password, node)

    async def remove_node(self, node: str) -> None:
        """Remove account and role of ``node``; its connection is cut.

        Raises:
            NoSuchAccount: there is none.
        """
        check_node_name(node)
        async with self._control() as control:
            client, role = await control.ask(
                {"command": "deleteClient", "username": node}, {"command": "deleteRole", "rolename": role_of(node)}
            )
        _check(client, node)
        with contextlib.suppress(NoSuchAccount):  # an account made by hand may have none
            _check(role, node)

    async def rotate(self, node: str) -> Credentials:
        """Give ``node`` a new password; its connection is cut, and the old password is worth nothing any more.

        Raises:
            NoSuchAccount: there is none.
        """
        check_node_name(node)
        password = new_password()
        async with self._control() as control:
            (answer,) = await control.ask({"command": "setClientPassword", "username": node, "password": password})
        _check(answer, node)
        return Credentials(node, node, password, node)

    async def list_nodes(self) -> list[str]:
        """The nodes that have an account, sorted."""
        async with self._control() as control:
            (answer,) = await control.ask({"command": "listRoles"})
        _check(answer, "")
        roles = answer.get("data", {}).get("roles", [])
        return sorted(node for role in roles if (node := node_of(role)) is not None)

    @contextlib.asynccontextmanager
    async def _control(self) -> AsyncIterator[Control]:
        async with self._turn, Control.open(self._mqtt, limit_s=self._limit_s) as control:
            yield control


def _check(answer: Json, node: str) -> None:
    if "error" in answer:
        raise _translated(answer, node)


def _translated(answer: Json, node: str) -> AccountError:
    error = str(answer["error"])
    match error.lower():
        case "client already exists" | "role already exists":
            return AccountExists(f"node {node!r} has an account already")
        case "client not found" | "role not found":
            return NoSuchAccount(f"node {node!r} has no account")
    return AccountError(f"the broker refused {answer.get('command', 'a request')} for node {node!r}: {error}")
