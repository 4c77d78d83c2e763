"""Accounts of people and programs on a running broker: operators who command, analysts who read.

people = People(for_admin(settings, paths))
credentials = await people.add("maria", PersonRole.OPERATOR)

Each account has one client id, its name: an account that may choose its client id may take that of a node or of the hub
and end its connection.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.broker.accounts import Credentials
from hub.broker.control import LIMIT_S, Control
from hub.broker.errors import AccountError, AccountExists, NoSuchAccount
from hub.broker.rights import PersonRole, check_node_name, gateway_of, new_password, node_of, person_acls
from wire.topics import Topics

if TYPE_CHECKING:
    from hub.broker.control import Json
    from wire.settings import MqttSettings


@dataclass(frozen=True, slots=True)
class Account:
    """One account on the broker, of whatever kind."""

    name: str
    #: ``node``, ``gateway``, ``operator``, ``analyst``, or the roles of an account that was made by other means.
    role: str
    #: None: any.
    client_id: str | None


class People:
    """Accounts of people on one broker; errors of every call as :class:`hub.broker.accounts.Accounts`."""

    def __init__(self, mqtt: MqttSettings, *, limit_s: float = LIMIT_S) -> None:
        self._mqtt = mqtt
        self._limit_s = limit_s
        self._topics = Topics(mqtt.root)
        #: One client id, thus one connection at a time.
        self._turn = asyncio.Lock()

    async def add(self, name: str, role: PersonRole) -> Credentials:
        """Make an account; it works at once.

        Raises:
            AccountExists: a person or node has that name; nothing was changed.
        """
        check_node_name(name)
        password, acls = new_password(), list(person_acls(self._topics, role))
        async with self._turn, Control.open(self._mqtt, limit_s=self._limit_s) as control:
            # The role is there from the second account on; it must say what it must in either case.
            await control.ask({"command": "createRole", "rolename": role.value})
            changed, made = await control.ask(
                {"command": "modifyRole", "rolename": role.value, "acls": acls},
                {
                    "command": "createClient",
                    "username": name,
                    "password": password,
                    "clientid": name,
                    "roles": [{"rolename": role.value}],
                },
            )
        _check(made, name)
        _check(changed, name)
        return Credentials(name, name, password, name)

    async def remove(self, name: str) -> None:
        """Remove an account; its connection is cut.

        Raises:
            NoSuchAccount: no person has that name.
        """
        async with self._turn, Control.open(self._mqtt, limit_s=self._limit_s) as control:
            await _must_be_person(control, name)
            (answer,) = await control.ask({"command": "deleteClient", "username": name})
        _check(answer, name)

    async def rotate(self, name: str) -> Credentials:
        """Give an account a new password; its connection is cut.

        Raises:
            NoSuchAccount: no person has that name.
        """
        password = new_password()
        async with self._turn, Control.open(self._mqtt, limit_s=self._limit_s) as control:
            await _must_be_person(control, name)
            (answer,) = await control.ask({"command": "setClientPassword", "username": name, "password": password})
        _check(answer, name)
        return Credentials(name, name, password, name)

    async def accounts(self) -> list[Account]:
        """All accounts of the broker, by name; those of nodes and of the hub itself too."""
        async with self._turn, Control.open(self._mqtt, limit_s=self._limit_s) as control:
            (answer,) = await control.ask({"command": "listClients", "verbose": True})
        _check(answer, "")
        clients = answer.get("data", {}).get("clients", [])
        found = [Account(each["username"], _shown(_roles(each)), each.get("clientid")) for each in clients]
        return sorted(found, key=lambda each: each.name)


async def _must_be_person(control: Control, name: str) -> None:
    check_node_name(name)
    (answer,) = await control.ask({"command": "getClient", "username": name})
    _check(answer, name)
    if not set(_roles(answer["data"]["client"])) & set(PersonRole):
        raise NoSuchAccount(f"{name!r} is no person's account but a node's: see `iothub nodes`")


def _roles(client: Json) -> list[str]:
    return [role["rolename"] for role in client.get("roles", [])]


def _shown(roles: list[str]) -> str:
    kinds = []
    for role in roles:
        if role in set(PersonRole):
            kinds.append(PersonRole(role).name.lower())
        elif node_of(role) is not None:
            kinds.append("node")
        else:
            kinds.append("gateway" if gateway_of(role) is not None else role)
    return ", ".join(kinds) or "none"


def _check(answer: Json, name: str) -> None:
    if "error" not in answer:
        return
    error = str(answer["error"])
    match error.lower():
        case "client already exists":
            raise AccountExists(f"there is an account {name!r} already: a person's or a node's")
        case "client not found":
            raise NoSuchAccount(f"there is no account {name!r}; `iothub accounts` lists those that there are")
    raise AccountError(f"the broker refused {answer.get('command', 'a request')} for {name!r}: {error}")
