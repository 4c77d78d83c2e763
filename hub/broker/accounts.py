"""Accounts of nodes on a running broker: made, removed and renewed at once, without a restart.

async with Accounts.open(for_admin(settings, paths)) as accounts:
    credentials = await accounts.add_node("dev1")
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.broker.control import Control
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
    """Node accounts of one broker; its calls may run concurrently.

    Raises, from every call, beside what is named there:
        TopicError: the name is outside the grammar of node ids.
        NameReserved: the hub itself uses it.
        AccountError: BrokerSilent, NotAuthorised or PluginMissing, see :class:`hub.broker.control.Control`.
    """

    def __init__(self, control: Control, topics: Topics) -> None:
        self._control = control
        self._topics = topics

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, mqtt: MqttSettings) -> AsyncIterator[Accounts]:
        """Connect as :func:`hub.broker.credentials.for_admin` says; OSError: the password file cannot be read."""
        async with Control.open(mqtt) as control:
            yield cls(control, Topics(mqtt.root))

    async def add_node(self, node: str) -> Credentials:
        """Make account and role of ``node``; it may connect at once.

        Raises:
            AccountExists: there is one; nothing was changed.
        """
        account = node_account(node, new_password(), self._topics)
        role = {"rolename": account.role, "acls": list(account.acls)}
        made_role, made_client = await self._control.ask(
            {"command": "createRole", **role},
            {
                "command": "createClient",
                "username": account.username,
                "password": account.password,
                "clientid": account.client_id,
                "roles": [{"rolename": account.role}],
            },
        )
        if "error" in made_client:
            if "error" not in made_role:
                await self._must(node, {"command": "deleteRole", "rolename": account.role})
            raise _translated(made_client, node)
        if "error" in made_role:
            # Left over from an account that was removed by other means; it may say something else than it must.
            await self._must(node, {"command": "modifyRole", **role})
        return Credentials(node, account.username, account.password, node)

    async def remove_node(self, node: str) -> None:
        """Remove account and role of ``node``; its connection is cut.

        Raises:
            NoSuchAccount: there is none.
        """
        check_node_name(node)
        client, role = await self._control.ask(
            {"command": "deleteClient", "username": node}, {"command": "deleteRole", "rolename": role_of(node)}
        )
        if "error" in client:
            raise _translated(client, node)
        if "error" in role and not isinstance(wrong := _translated(role, node), NoSuchAccount):
            raise wrong

    async def rotate(self, node: str) -> Credentials:
        """Give ``node`` a new password; its connection is cut, and the old password is worth nothing any more.

        Raises:
            NoSuchAccount: there is none.
        """
        check_node_name(node)
        password = new_password()
        await self._must(node, {"command": "setClientPassword", "username": node, "password": password})
        return Credentials(node, node, password, node)

    async def list_nodes(self) -> list[str]:
        """The nodes that have an account, sorted."""
        answer = await self._must("", {"command": "listRoles"})
        roles = answer.get("data", {}).get("roles", [])
        return sorted(node for role in roles if (node := node_of(role)) is not None)

    async def _must(self, node: str, command: Json) -> Json:
        (answer,) = await self._control.ask(command)
        if "error" in answer:
            raise _translated(answer, node)
        return answer


def _translated(answer: Json, node: str) -> AccountError:
    error = str(answer["error"])
    match error.lower():
        case "client already exists" | "role already exists":
            return AccountExists(f"node {node!r} has an account already")
        case "client not found" | "role not found":
            return NoSuchAccount(f"node {node!r} has no account")
    return AccountError(f"the broker refused {answer.get('command', 'a request')} for node {node!r}: {error}")
