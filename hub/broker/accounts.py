"""Accounts of nodes and gateways on a running broker: made, removed and renewed at once, without a restart.

accounts = Accounts(for_admin(settings, paths))
credentials = await accounts.add_node("dev1")

``hub/broker/people.py`` does the same for people and programs.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.broker.control import LIMIT_S, Control
from hub.broker.errors import AccountError, AccountExists, NoSuchAccount
from hub.broker.rights import (
    PersonRole,
    check_node_name,
    devices_of,
    gateway_account,
    gateway_acls,
    gateway_of,
    gateway_role_of,
    new_password,
    node_account,
    node_of,
    role_of,
)
from wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hub.broker.control import Json
    from hub.broker.rights import Account
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
            AccountExists: there is one, or a gateway speaks for it; nothing was changed.
        """
        return await self._add(node_account(node, new_password(), self._topics))

    async def add_gateway(self, gateway: str) -> Credentials:
        """Make account and role of a gateway, which speaks for itself until it has devices.

        Raises:
            AccountExists: there is one; nothing was changed.
        """
        return await self._add(gateway_account(gateway, new_password(), self._topics))

    async def add_device(self, device: str, gateway: str) -> None:
        """Let ``gateway`` speak for ``device``, which gets no account of its own; at once, its connection goes on.

        Raises:
            NoSuchAccount: there is no such gateway.
            AccountExists: the device has an account of its own, or another gateway.
        """
        check_node_name(device)
        async with self._control() as control:
            gateways = await _gateways(control)
            if gateway not in gateways:
                raise NoSuchAccount(f"there is no gateway {gateway[:64]!r}; make it: iothub nodes add NAME --gateway")
            owner = next((name for name, devices in gateways.items() if device in devices), None)
            if owner == gateway:
                return
            if owner is not None:
                raise AccountExists(f"gateway {owner!r} speaks for {device!r} already")
            (own,) = await control.ask({"command": "getClient", "username": device})
            if "error" not in own:
                raise AccountExists(f"node {device!r} has an account of its own; remove it first")
            await self._set_devices(control, gateway, [*gateways[gateway], device])

    async def _add(self, account: Account) -> Credentials:
        node = account.username
        role = {"rolename": account.role, "acls": list(account.acls)}
        client = {
            "username": account.username,
            "password": account.password,
            "clientid": account.client_id,
            "roles": [{"rolename": account.role}],
        }
        async with self._control() as control:
            for gateway, devices in (await _gateways(control)).items():
                if node in devices:
                    raise AccountExists(f"gateway {gateway!r} speaks for {node!r}; remove that node first")
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
        """Remove account and role of ``node``, whose connection is cut; or what its gateway may say for it.

        Raises:
            NoSuchAccount: there is none, and no gateway speaks for it; or it is a person's.
        """
        check_node_name(node)
        async with self._control() as control:
            gateways = await _gateways(control)
            owner = next((gateway for gateway, devices in gateways.items() if node in devices), None)
            if owner is not None:
                await self._set_devices(control, owner, [other for other in gateways[owner] if other != node])
                return
            (found,) = await control.ask({"command": "getClient", "username": node})
            _check(found, node)
            roles = [role["rolename"] for role in found["data"]["client"].get("roles", [])]
            if set(roles) & set(PersonRole):
                raise NoSuchAccount(f"{node!r} is no node but a person's account: iothub accounts rm {node}")
            own = [role for role in (role_of(node), gateway_role_of(node)) if role in roles]
            client, *removed = await control.ask(
                {"command": "deleteClient", "username": node},
                *({"command": "deleteRole", "rolename": role} for role in own),
            )
        _check(client, node)
        for answer in removed:
            with contextlib.suppress(NoSuchAccount):  # somebody else was faster
                _check(answer, node)

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
        """The nodes that have an account, gateways too, sorted."""
        async with self._control() as control:
            roles = await _roles(control)
        return sorted(node for role in roles if (node := node_of(role) or gateway_of(role)) is not None)

    async def gateways(self) -> dict[str, list[str]]:
        """Each gateway with its devices."""
        async with self._control() as control:
            return await _gateways(control)

    async def cut(self, node: str) -> None:
        """End the connection of ``node`` now; it may come back at once, if it still has what that takes.

        Raises:
            NoSuchAccount: there is none.
        """
        check_node_name(node)
        async with self._control() as control:
            for answer in await control.ask(
                {"command": "disableClient", "username": node}, {"command": "enableClient", "username": node}
            ):
                _check(answer, node)

    async def _set_devices(self, control: Control, gateway: str, devices: list[str]) -> None:
        acls = list(gateway_acls(self._topics, gateway, devices))
        (answer,) = await control.ask({"command": "modifyRole", "rolename": gateway_role_of(gateway), "acls": acls})
        _check(answer, gateway)

    @contextlib.asynccontextmanager
    async def _control(self) -> AsyncIterator[Control]:
        async with self._turn, Control.open(self._mqtt, limit_s=self._limit_s) as control:
            yield control


async def _roles(control: Control) -> list[str]:
    (answer,) = await control.ask({"command": "listRoles"})
    _check(answer, "")
    roles: list[str] = answer.get("data", {}).get("roles", [])
    return roles


async def _gateways(control: Control) -> dict[str, list[str]]:
    """Gateways and their devices, as their rights say."""
    names = [gateway for role in await _roles(control) if (gateway := gateway_of(role)) is not None]
    if not names:
        return {}
    answers = await control.ask(*({"command": "getRole", "rolename": gateway_role_of(name)} for name in names))
    return {
        name: devices_of(name, answer["data"]["role"].get("acls", []))
        for name, answer in zip(names, answers, strict=True)
        if "error" not in answer
    }


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
