"""The file of accounts: pure functions."""

from __future__ import annotations

import base64
import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.broker.dynsec import encode, hashed, parse, repaired
from hub.broker.errors import AccountsBroken, NameReserved
from hub.broker.rights import (
    RESERVED,
    Account,
    admin_account,
    hub_account,
    new_password,
    node_account,
    node_acls,
    node_of,
    operator_account,
    role_of,
)
from wire.errors import TopicError
from wire.topics import Topics, matches

if TYPE_CHECKING:
    from hub.broker.dynsec import Document
    from hub.broker.rights import Acl

TOPICS = Topics()
NODE_IDS = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True).filter(lambda name: name not in RESERVED)


def built_in(topics: Topics = TOPICS) -> list[Account]:
    return [
        admin_account("a" * 32),
        hub_account("h" * 32, topics),
        operator_account("o" * 32, topics),
        node_account("agent-host", "n" * 32, topics),
    ]


def fresh() -> Document:
    return repaired(None, built_in(), TOPICS)[0]


def client(document: Document, name: str) -> dict[str, Any]:
    return next(client for client in document["clients"] if client["username"] == name)


def role(document: Document, name: str) -> dict[str, Any]:
    return next(role for role in document["roles"] if role["rolename"] == name)


def test_passwords_are_hashed_as_mosquitto_ctrl_hashes_them() -> None:
    """From ``mosquitto_ctrl dynsec init`` of Mosquitto 2.0.11 with the password ``adminpw``."""
    assert hashed("adminpw", base64.b64decode("SBnh70OAo9mpe8b2"), 101) == (
        "V6zcJe/SUQMvZkszRmPhH3MzLWcHVitK1E0w0lX/t6G4NUJiwqZXHfNbFi9W/xHqOftKVenaLsvXpfX+DYI3bg=="
    )


def test_a_new_file_refuses_what_no_role_allows() -> None:
    assert fresh()["defaultACLAccess"] == {
        "publishClientSend": False,
        "publishClientReceive": False,
        "subscribe": False,
        "unsubscribe": True,
    }


def test_client_ids_are_bound_where_one_client_uses_the_account() -> None:
    bound = {entry["username"]: entry.get("clientid") for entry in fresh()["clients"]}
    assert bound == {"admin": None, "hub": "hub", "operator": None, "agent-host": "agent-host"}


def test_no_password_is_in_the_file() -> None:
    text = encode(fresh())
    assert [account.password for account in built_in() if account.password in text] == []


def test_what_is_right_already_is_not_touched() -> None:
    document = fresh()
    again, changes = repaired(copy.deepcopy(document), built_in(), TOPICS)
    assert (again, changes) == (document, [])


def test_the_form_in_which_the_plugin_writes_the_file_is_right_too() -> None:
    document = fresh()
    for entry in document["roles"]:
        entry["acls"].reverse()
        for acl in entry["acls"]:
            del acl["priority"]
    assert repaired(document, built_in(), TOPICS)[1] == []


@pytest.mark.parametrize("name", ["admin", "hub", "operator", "agent-host"])
def test_an_account_that_is_missing_is_made_again(name: str) -> None:
    document = fresh()
    document["clients"].remove(client(document, name))
    mended, changes = repaired(document, built_in(), TOPICS)
    assert changes == [f"account {name!r} made"]
    assert client(mended, name)["roles"] == [{"rolename": name if name != "agent-host" else "node-agent-host"}]


@pytest.mark.parametrize(
    "damage",
    [
        {"password": "AAAA"},
        {"salt": "not base64!"},
        {"iterations": 0},
        {"iterations": "101"},
        {"clientid": "other"},
        {"roles": []},
        {"roles": "hub"},
        {"disabled": True},
    ],
)
def test_an_account_that_would_not_work_is_set_anew(damage: dict[str, object]) -> None:
    document = fresh()
    client(document, "hub").update(damage)
    mended, changes = repaired(document, built_in(), TOPICS)
    assert changes == ["account 'hub' set anew"]
    assert repaired(mended, built_in(), TOPICS)[1] == []


def test_a_right_added_to_a_role_of_ours_is_taken_away_again() -> None:
    document = fresh()
    role(document, "operator")["acls"].append(
        {"acltype": "publishClientSend", "topic": "#", "priority": 0, "allow": True}
    )
    mended, changes = repaired(document, built_in(), TOPICS)
    assert changes == ["rights of role 'operator' set anew"]
    assert mended["roles"] == fresh()["roles"]


def test_accounts_roles_and_groups_of_others_are_kept() -> None:
    document = fresh()
    others: dict[str, Any] = {
        "clients": {"username": "bridge", "textname": "made by hand", "password": "x", "salt": "y", "iterations": 7},
        "roles": {"rolename": "bridge", "acls": [{"acltype": "publishClientSend", "topic": "zigbee2mqtt/#"}]},
        "groups": {"groupname": "all", "clients": []},
    }
    for section, entry in others.items():
        document[section].append(entry)
    document["anonymousGroup"] = "all"
    mended, changes = repaired(document, built_in(Topics("lab/v1")), Topics("lab/v1"))
    assert changes
    assert all(entry in mended[section] for section, entry in others.items())
    assert mended["anonymousGroup"] == "all"


def test_another_root_moves_the_rights_of_every_node() -> None:
    document, _ = repaired(fresh(), [node_account("dev1", "d" * 32, TOPICS)], TOPICS)
    lab = Topics("lab/v1")
    moved, _ = repaired(document, built_in(lab), lab)
    assert role(moved, "node-dev1")["acls"] == list(node_acls(lab, "dev1"))
    assert client(moved, "dev1") == client(document, "dev1")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"null",
        b'{"clients": {}}',
        b'{"clients": [1]}',
        b'{"clients": [{}]}',
        b'{"roles": [{"rolename": 1}]}',
        b'{"groups": "x"}',
    ],
)
def test_a_damaged_file_is_refused(text: bytes) -> None:
    with pytest.raises(AccountsBroken):
        parse(text)


def test_a_file_survives_being_written_and_read() -> None:
    document = fresh()
    assert parse(encode(document).encode()) == document


@given(NODE_IDS, NODE_IDS)
def test_no_node_may_send_or_receive_what_is_anothers(node: str, other: str) -> None:
    if node == other:
        return
    filters = [acl["topic"] for acl in node_acls(TOPICS, node)]
    theirs = [
        TOPICS.status(other),
        TOPICS.log(other),
        TOPICS.stored(other),
        TOPICS.telemetry(other, "m"),
        TOPICS.command(other, "c"),
        TOPICS.reply(other, "r"),
        TOPICS.hub_status(other),
    ]
    assert [(f, topic) for f in filters for topic in theirs if matches(f, topic)] == []


@given(NODE_IDS)
def test_a_node_sends_no_command_and_reads_nothing_that_it_sends(node: str) -> None:
    acls = node_acls(TOPICS, node)
    assert not any(allows(acl, "publishClientSend", TOPICS.command(node, "reboot")) for acl in acls)
    assert not any(allows(acl, "subscribePattern", TOPICS.telemetry(node, "room")) for acl in acls)
    assert not any(allows(acl, "publishClientReceive", TOPICS.status(node)) for acl in acls)


def allows(acl: Acl, kind: str, topic: str) -> bool:
    return acl["acltype"] == kind and acl["allow"] and matches(acl["topic"], topic)


@given(NODE_IDS)
def test_the_role_of_a_node_names_it(node: str) -> None:
    assert node_of(role_of(node)) == node


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_no_node_has_a_name_of_the_hubs_own(name: str) -> None:
    with pytest.raises(NameReserved, match="hub's own accounts"):
        node_account(name, "x", TOPICS)


@pytest.mark.parametrize("name", [".", ".."])
def test_no_node_has_a_name_that_no_path_of_http_can_hold(name: str) -> None:
    with pytest.raises(NameReserved, match="in addresses of HTTP"):
        node_account(name, "x", TOPICS)


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", "$hub", "é", "x" * 65])
def test_a_name_outside_the_grammar_gets_no_account(name: str) -> None:
    with pytest.raises(TopicError):
        node_account(name, "x", TOPICS)


def test_passwords_have_128_random_bits() -> None:
    passwords = {new_password() for _ in range(100)}
    assert len(passwords) == 100
    assert {len(bytes.fromhex(password)) * 8 for password in passwords} == {128}
