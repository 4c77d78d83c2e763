"""Accounts made and removed on a broker that runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import pytest

from hub.broker import accounts
from hub.broker.accounts import Accounts
from hub.broker.control import Control
from hub.broker.errors import (
    AccountError,
    AccountExists,
    BrokerSilent,
    NameReserved,
    NoSuchAccount,
    NotAuthorised,
    PluginMissing,
)
from tests.support.device import ADMINISTRATIVE, GRANTED_QOS_1, NO_SUBSCRIBERS, NOT_AUTHORISED, SUCCESS, Device
from tests.support.mosquitto import Mosquitto, free_port
from tests.support.secured import AGENT_NODE, Secured
from tests.support.waiting import wait_until
from wire.errors import TopicError
from wire.settings import MqttSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

T = TypeVar("T")
#: Allowed; whether somebody listens is another matter.
ACCEPTED = (SUCCESS, NO_SUBSCRIBERS)


def ask(mqtt: MqttSettings, request: Callable[[Accounts], Awaitable[T]]) -> T:
    async def run() -> T:
        return await request(Accounts(mqtt))

    return asyncio.run(run())


def test_a_node_added_while_others_are_connected_works_at_once_and_disturbs_nobody(broker: Secured) -> None:
    with Device(broker.hub()) as hub, Device(broker.agent()) as agent:
        assert hub.subscribe("iot/v1/#") == GRANTED_QOS_1
        with Device(broker.node(broker.add_node("dev1"))) as device:
            assert device.publish("iot/v1/dev1/telemetry/room", '{"temperature":21.5}') == SUCCESS
        assert agent.publish(f"iot/v1/{AGENT_NODE}/log", "still here") == SUCCESS
        wait_until(lambda: f"iot/v1/{AGENT_NODE}/log" in hub.topics(), what="the agent's message")
        assert "iot/v1/dev1/telemetry/room" in hub.topics()
        assert (hub.ended, agent.ended) == (None, None)


def test_adding_a_node_twice_is_refused_and_the_first_password_stays(broker: Secured) -> None:
    credentials = broker.add_node("dev1")
    with pytest.raises(AccountExists, match="'dev1' has an account already"):
        broker.add_node("dev1")
    with Device(broker.node(credentials)) as device:
        assert device.publish("iot/v1/dev1/log") in ACCEPTED


def test_a_name_taken_by_an_account_made_by_hand_leaves_no_role_behind(broker: Secured) -> None:
    async def run() -> list[str]:
        async with Control.open(broker.admin()) as control:
            await control.ask({"command": "createClient", "username": "byhand", "password": "x"})
        accounts = Accounts(broker.admin())
        with pytest.raises(AccountExists):
            await accounts.add_node("byhand")
        return await accounts.list_nodes()

    assert asyncio.run(run()) == [AGENT_NODE]


def test_a_role_left_over_gets_the_right_rights(broker: Secured) -> None:
    async def run() -> None:
        async with Control.open(broker.admin()) as control:
            acl = {"acltype": "publishClientSend", "topic": "#", "allow": True}
            await control.ask({"command": "createRole", "rolename": "node-dev1", "acls": [acl]})

    asyncio.run(run())
    with Device(broker.node(broker.add_node("dev1"))) as device:
        assert device.publish("iot/v1/dev1/log") in ACCEPTED
        assert device.publish("iot/v1/dev2/log") >= 0x80


def test_removing_a_node_cuts_its_connection_and_keeps_it_out(broker: Secured) -> None:
    mqtt = broker.node(broker.add_node("dev1"))
    with Device(mqtt) as device:
        ask(broker.admin(), lambda accounts: accounts.remove_node("dev1"))
        wait_until(lambda: device.ended is not None, what="the connection is cut")
        assert device.ended == ADMINISTRATIVE
    again = Device(mqtt)
    assert again.connect() == NOT_AUTHORISED
    again.disconnect()
    assert ask(broker.admin(), lambda accounts: accounts.list_nodes()) == [AGENT_NODE]


def test_a_removed_node_can_be_added_again_with_another_password(broker: Secured) -> None:
    first = broker.add_node("dev1")
    ask(broker.admin(), lambda accounts: accounts.remove_node("dev1"))
    second = broker.add_node("dev1")
    assert second.password != first.password
    with Device(broker.node(second)) as device:
        assert device.publish("iot/v1/dev1/log") in ACCEPTED


def test_a_new_password_ends_the_connection_and_the_old_password(broker: Secured) -> None:
    old = broker.node(broker.add_node("dev1"))
    with Device(old) as device:
        renewed = ask(broker.admin(), lambda accounts: accounts.rotate("dev1"))
        wait_until(lambda: device.ended is not None, what="the connection is cut")
        assert device.ended == ADMINISTRATIVE
    with Device(broker.node(renewed)):
        pass
    stale = Device(old)
    assert stale.connect() == NOT_AUTHORISED
    stale.disconnect()


def test_what_is_not_there_cannot_be_removed_or_renewed(broker: Secured) -> None:
    with pytest.raises(NoSuchAccount, match="'ghost' has no account"):
        ask(broker.admin(), lambda accounts: accounts.remove_node("ghost"))
    with pytest.raises(NoSuchAccount, match="'ghost' has no account"):
        ask(broker.admin(), lambda accounts: accounts.rotate("ghost"))


@pytest.mark.parametrize("name", ["hub", "admin", "operator"])
def test_the_accounts_of_the_hub_are_nobody_elses(broker: Secured, name: str) -> None:
    for request in (Accounts.add_node, Accounts.remove_node, Accounts.rotate):
        with pytest.raises(NameReserved, match="hub's own accounts"):
            ask(broker.admin(), lambda accounts, request=request: request(accounts, name))  # type: ignore[misc]


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", "a b", "x" * 65])
def test_a_name_outside_the_grammar_never_reaches_the_broker(broker: Secured, name: str) -> None:
    with pytest.raises(TopicError, match="is not 1 to 64 of"):
        broker.add_node(name)


def test_many_requests_at_once_each_get_their_own_answer(broker: Secured) -> None:
    names = [f"dev{i}" for i in range(40)]

    async def run(accounts: Accounts) -> list[str]:
        other = Accounts(broker.admin())
        made = await asyncio.gather(*((accounts, other)[i % 2].add_node(name) for i, name in enumerate(names)))
        return [credentials.node for credentials in made]

    assert ask(broker.admin(), run) == names
    assert ask(broker.admin(), lambda accounts: accounts.list_nodes()) == sorted([AGENT_NODE, *names])


def test_only_admin_manages_accounts(broker: Secured) -> None:
    for mqtt in (broker.operator(), broker.hub(), broker.agent()):
        with pytest.raises(NotAuthorised, match=f"as '{mqtt.username}'.*not authorized"):
            ask(mqtt, lambda accounts: accounts.list_nodes())


def test_a_wrong_password_of_admin_is_said(broker: Secured) -> None:
    wrong = broker.admin().model_copy(update={"password_file": broker.hub().password_file})
    with pytest.raises(NotAuthorised, match="refused the connection: not authorized"):
        ask(wrong, lambda accounts: accounts.list_nodes())


def test_a_broker_that_is_not_there_is_said() -> None:
    port = free_port()
    with pytest.raises(BrokerSilent, match=f"no connection to the broker at 127.0.0.1:{port}"):
        ask(MqttSettings(port=port), lambda accounts: accounts.list_nodes())


def test_a_broker_that_dies_before_the_answer_is_said(broker: Secured) -> None:
    async def run() -> None:
        async with Control.open(broker.admin()) as control:
            broker.kill()
            await control.ask({"command": "listRoles"})

    with pytest.raises(BrokerSilent):
        asyncio.run(run())


def test_a_broker_that_was_restarted_in_between_is_served_again(broker: Secured) -> None:
    async def run(accounts: Accounts) -> list[str]:
        await accounts.add_node("dev1")
        broker.stop()
        broker.start()
        await accounts.add_node("dev2")
        return await accounts.list_nodes()

    assert ask(broker.admin(), run) == sorted([AGENT_NODE, "dev1", "dev2"])


def test_a_password_of_admin_that_cannot_be_read_is_said(broker: Secured, tmp_path: Path) -> None:
    nowhere = broker.admin().model_copy(update={"password_file": tmp_path / "nowhere"})
    with pytest.raises(NotAuthorised, match=r"the password of 'admin' cannot be read.*nowhere"):
        ask(nowhere, lambda accounts: accounts.list_nodes())


def test_a_broker_without_the_plugin_is_said(tmp_path: Path) -> None:
    with (
        Mosquitto(tmp_path) as plain,
        pytest.raises(PluginMissing, match="runs without Mosquitto's dynamic-security plugin"),
    ):
        asyncio.run(Accounts(MqttSettings(port=plain.port), limit_s=0.5).list_nodes())


def test_an_error_nobody_foresaw_keeps_the_words_of_the_broker(broker: Secured) -> None:
    async def run() -> None:
        async with Control.open(broker.admin()) as control:
            (answer,) = await control.ask({"command": "danceOnTheTable"})
        accounts._check(answer, "dev1")

    with pytest.raises(AccountError, match=r"refused danceOnTheTable for node 'dev1': .+"):
        asyncio.run(run())


def test_accounts_made_just_before_a_kill_minus_9_are_there_after_it(broker: Secured) -> None:
    credentials = broker.add_node("dev1")
    broker.kill()
    broker.start()
    with Device(broker.node(credentials)) as device:
        assert device.publish("iot/v1/dev1/log") in ACCEPTED


def test_no_password_is_in_the_log_of_the_broker(broker: Secured) -> None:
    credentials = broker.add_node("dev1")
    renewed = ask(broker.admin(), lambda accounts: accounts.rotate("dev1"))
    with Device(broker.node(renewed)):
        pass
    log = broker.log.read_text()
    assert "setClientPassword" in log
    for secret in (
        credentials.password,
        renewed.password,
        *(f.read_text().strip() for f in broker.paths.secrets.iterdir()),
    ):
        assert secret not in log
