"""Accounts of people and gateways on a broker that runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import pytest

from hub.broker.accounts import Accounts
from hub.broker.dynsec import parse, repaired
from hub.broker.errors import AccountExists, NameReserved, NoSuchAccount
from hub.broker.people import People
from hub.broker.rights import PersonRole, devices_of, gateway_acls
from tests.support.device import ADMINISTRATIVE, NOT_AUTHORISED, Device
from tests.support.waiting import wait_until
from wire.errors import TopicError
from wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.secured import Secured

T = TypeVar("T")


def people(broker: Secured, request: Callable[[People], Awaitable[T]]) -> T:
    async def run() -> T:
        return await request(People(broker.admin()))

    return asyncio.run(run())


def accounts(broker: Secured, request: Callable[[Accounts], Awaitable[T]]) -> T:
    async def run() -> T:
        return await request(Accounts(broker.admin()))

    return asyncio.run(run())


def test_an_account_works_at_once_and_ends_with_its_removal(broker: Secured) -> None:
    made = people(broker, lambda p: p.add("maria", PersonRole.OPERATOR))
    with Device(broker.node(made)) as maria:
        people(broker, lambda p: p.remove("maria"))
        wait_until(lambda: maria.ended is not None, what="the connection is cut")
        assert maria.ended == ADMINISTRATIVE
    again = Device(broker.node(made))
    assert again.connect() == NOT_AUTHORISED
    again.disconnect()


def test_a_new_password_ends_the_connection_with_the_old_one(broker: Secured) -> None:
    old = people(broker, lambda p: p.add("anna", PersonRole.ANALYST))
    with Device(broker.node(old)) as anna:
        new = people(broker, lambda p: p.rotate("anna"))
        wait_until(lambda: anna.ended is not None, what="the connection is cut")
    with Device(broker.node(new)):
        pass


def test_people_and_nodes_share_one_set_of_names(broker: Secured) -> None:
    broker.add_node("dev1")
    people(broker, lambda p: p.add("maria", PersonRole.OPERATOR))
    with pytest.raises(AccountExists):
        people(broker, lambda p: p.add("dev1", PersonRole.ANALYST))
    with pytest.raises(AccountExists):
        broker.add_node("maria")


def test_the_accounts_of_nodes_are_not_removed_as_people_nor_the_other_way_round(broker: Secured) -> None:
    broker.add_node("dev1")
    people(broker, lambda p: p.add("maria", PersonRole.OPERATOR))
    for request in (lambda p: p.remove("dev1"), lambda p: p.rotate("dev1")):
        with pytest.raises(NoSuchAccount, match="a node's"):
            people(broker, request)
    with pytest.raises(NoSuchAccount, match="a person's account"):
        accounts(broker, lambda a: a.remove_node("maria"))
    with pytest.raises(NoSuchAccount):
        people(broker, lambda p: p.remove("ghost"))


@pytest.mark.parametrize("name", ["hub", "admin", "operator"])
def test_the_names_of_the_hub_are_its_own(broker: Secured, name: str) -> None:
    for request in (lambda p: p.add(name, PersonRole.OPERATOR), lambda p: p.remove(name), lambda p: p.rotate(name)):
        with pytest.raises(NameReserved):
            people(broker, request)


def test_a_name_outside_the_grammar_gets_no_account(broker: Secured) -> None:
    with pytest.raises(TopicError):
        people(broker, lambda p: p.add("a/b", PersonRole.OPERATOR))


def test_all_accounts_are_listed_with_what_they_are(broker: Secured) -> None:
    people(broker, lambda p: p.add("maria", PersonRole.OPERATOR))
    accounts(broker, lambda a: a.add_gateway("gw1"))
    listed = {each.name: (each.role, each.client_id) for each in people(broker, lambda p: p.accounts())}
    assert listed == {
        "admin": ("admin", None),
        "agent-host": ("node", "agent-host"),
        "gw1": ("gateway", "gw1"),
        "hub": ("hub", "hub"),
        "maria": ("operator", "maria"),
        "operator": ("operator", None),
    }


def test_a_device_has_one_gateway_or_an_account_of_its_own(broker: Secured) -> None:
    broker.add_node("dev1")
    for gateway in ("gw1", "gw2"):
        accounts(broker, lambda a, name=gateway: a.add_gateway(name))  # type: ignore[misc]  # bound now
    accounts(broker, lambda a: a.add_device("lamp", "gw1"))
    accounts(broker, lambda a: a.add_device("lamp", "gw1"))  # again changes nothing
    with pytest.raises(AccountExists, match="'gw1' speaks for"):
        accounts(broker, lambda a: a.add_device("lamp", "gw2"))
    with pytest.raises(AccountExists, match="account of its own"):
        accounts(broker, lambda a: a.add_device("dev1", "gw1"))
    with pytest.raises(AccountExists, match="'gw1' speaks for"):
        broker.add_node("lamp")
    with pytest.raises(NoSuchAccount, match="no gateway 'dev1'"):
        accounts(broker, lambda a: a.add_device("lamp2", "dev1"))
    assert accounts(broker, lambda a: a.gateways()) == {"gw1": ["lamp"], "gw2": []}


def test_a_gateway_that_is_removed_leaves_nothing(broker: Secured) -> None:
    accounts(broker, lambda a: a.add_gateway("gw1"))
    accounts(broker, lambda a: a.add_device("lamp", "gw1"))
    accounts(broker, lambda a: a.remove_node("gw1"))
    assert accounts(broker, lambda a: a.gateways()) == {}
    broker.add_node("lamp")


def test_a_start_of_the_broker_keeps_gateways_people_and_their_rights(broker: Secured) -> None:
    people(broker, lambda p: p.add("anna", PersonRole.ANALYST))
    accounts(broker, lambda a: a.add_gateway("gw1"))
    accounts(broker, lambda a: a.add_device("lamp", "gw1"))
    file = broker.child.data / "dynamic-security.json"
    document = parse(file.read_bytes())
    assert repaired(document, [], Topics())[1] == []
    moved, _ = repaired(document, [], Topics("lab/x"))
    (role,) = [role for role in moved["roles"] if role["rolename"] == "gateway-gw1"]
    assert role["acls"] == list(gateway_acls(Topics("lab/x"), "gw1", ["lamp"]))
    assert devices_of("gw1", role["acls"]) == ["lamp"]


def test_a_right_added_to_a_role_of_people_is_taken_away_again(broker: Secured) -> None:
    people(broker, lambda p: p.add("anna", PersonRole.ANALYST))
    document = parse((broker.child.data / "dynamic-security.json").read_bytes())
    (role,) = [role for role in document["roles"] if role["rolename"] == "analysts"]
    role["acls"].append({"acltype": "publishClientSend", "topic": "#", "priority": 0, "allow": True})
    assert repaired(document, [], Topics())[1] == ["rights of role 'analysts' set anew"]
