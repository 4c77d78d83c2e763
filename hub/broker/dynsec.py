"""The file of accounts that Mosquitto's dynamic-security plugin reads: parse, repair, encode; no I/O here.

The plugin owns the file while the broker runs and rewrites it at every change. We write it only before a start, to make
sure that our own accounts (``rights.py``) are as they must be. Changes at run time go through ``accounts.py``.

    {"defaultACLAccess": {…},
     "clients": [{"username": …, "clientid": …, "password": …, "salt": …, "iterations": …, "roles": [{"rolename": …}]}],
     "groups": […],
     "roles": [{"rolename": …, "acls": [{"acltype": …, "topic": …, "priority": …, "allow": …}]}]}
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hub.broker.errors import AccountsBroken, NameReserved
from hub.broker.rights import (
    PersonRole,
    check_node_name,
    devices_of,
    gateway_acls,
    gateway_of,
    node_acls,
    node_of,
    person_acls,
)
from wire.errors import TopicError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hub.broker.rights import Account, Acl
    from wire.topics import Topics

#: As the plugin itself. Our passwords are random with 128 bits, so that more rounds would only make connecting slow.
_ROUNDS: Final = 101
_HASH_BYTES: Final = 64
_SALT_BYTES: Final = 12
_DEFAULT_ACCESS: Final = {
    "publishClientSend": False,
    "publishClientReceive": False,
    "subscribe": False,
    "unsubscribe": True,
}
_NAME_KEYS: Final = {"clients": "username", "groups": "groupname", "roles": "rolename"}

#: The decoded file; keys that we do not know are kept.
Document = dict[str, Any]


def parse(text: bytes) -> Document:
    """Decode the file.

    Raises:
        AccountsBroken: not JSON, or not of the plugin's shape.
    """
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AccountsBroken(f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise AccountsBroken("not a JSON object")
    for section, key in _NAME_KEYS.items():
        entries = document.get(section, [])
        if not isinstance(entries, list) or any(not _is_named(entry, key) for entry in entries):
            raise AccountsBroken(f"{section!r} is not a list of objects that each have {key!r}")
    return document


def encode(document: Document) -> str:
    """Encode the file, indented for people."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def repaired(
    document: Document | None,
    accounts: Sequence[Account],
    topics: Topics,
    *,
    new_salt: Callable[[], bytes] = lambda: secrets.token_bytes(_SALT_BYTES),
) -> tuple[Document, list[str]]:
    """The document with ``accounts`` as they must be, and what was changed, one sentence each (empty: nothing).

    Accounts, roles and groups of others are kept. Roles of nodes, gateways and people follow the root of the topics. An
    account whose password, client id and role are right keeps its salt, so that a second call changes nothing.
    """
    changes: list[str] = []
    new = dict(document or {})
    for section in _NAME_KEYS:
        new[section] = [dict(entry) for entry in new.get(section, [])]
    if new.get("defaultACLAccess") != _DEFAULT_ACCESS:
        new["defaultACLAccess"] = dict(_DEFAULT_ACCESS)
        changes.append("default access set to refuse")
    for role in list(new["roles"]):
        if (acls := _acls_of(role, topics)) is not None:
            _set_role(new["roles"], role["rolename"], acls, changes)
    for account in accounts:
        _set_role(new["roles"], account.role, account.acls, changes)
        _set_client(new["clients"], account, new_salt, changes)
    return new, changes


def hashed(password: str, salt: bytes, rounds: int = _ROUNDS) -> str:
    """PBKDF2-HMAC-SHA512 as the plugin stores it, base64."""
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds, _HASH_BYTES)
    return base64.b64encode(key).decode()


def _acls_of(role: Document, topics: Topics) -> Sequence[Acl] | None:
    """The rights that a role of a node, gateway or person must have; None for other roles."""
    name = role["rolename"]
    node, gateway = node_of(name), gateway_of(name)
    if node is not None and _is_node_name(node):
        return node_acls(topics, node)
    if gateway is not None and _is_node_name(gateway):
        found = role.get("acls")
        acls = [acl for acl in found if isinstance(acl, dict)] if isinstance(found, list) else []
        return gateway_acls(topics, gateway, [device for device in devices_of(gateway, acls) if _is_node_name(device)])
    return person_acls(topics, PersonRole(name)) if name in set(PersonRole) else None


def _set_role(roles: list[Document], name: str, acls: Sequence[Acl], changes: list[str]) -> None:
    found = next((role for role in roles if role["rolename"] == name), None)
    if found is None:
        roles.append({"rolename": name, "acls": list(acls)})
        changes.append(f"role {name!r} made")
    elif not _same_acls(found.get("acls"), acls):
        found["acls"] = list(acls)
        changes.append(f"rights of role {name!r} set anew")


def _set_client(clients: list[Document], account: Account, new_salt: Callable[[], bytes], changes: list[str]) -> None:
    found = next((client for client in clients if client["username"] == account.username), None)
    if found is not None and _is_right(found, account):
        return
    changes.append(f"account {account.username!r} {'made' if found is None else 'set anew'}")
    if found is None:
        found = {"username": account.username}
        clients.append(found)
    salt = new_salt()
    found |= {
        "password": hashed(account.password, salt),
        "salt": base64.b64encode(salt).decode(),
        "iterations": _ROUNDS,
        "roles": [{"rolename": account.role}],
    }
    found.pop("disabled", None)
    found.pop("clientid", None)
    if account.client_id is not None:
        found["clientid"] = account.client_id


def _is_right(client: Document, account: Account) -> bool:
    roles = client.get("roles")
    return (
        isinstance(roles, list)
        and any(isinstance(role, dict) and role.get("rolename") == account.role for role in roles)
        and not client.get("disabled", False)
        and client.get("clientid") == account.client_id
        and _verifies(client, account.password)
    )


def _verifies(client: Document, password: str) -> bool:
    stored, salt, rounds = client.get("password"), client.get("salt"), client.get("iterations")
    if not (isinstance(stored, str) and isinstance(salt, str) and isinstance(rounds, int) and rounds > 0):
        return False
    try:
        raw_salt = base64.b64decode(salt, validate=True)
    except ValueError:
        return False
    return hmac.compare_digest(stored.encode(), hashed(password, raw_salt, rounds).encode())


def _same_acls(existing: object, wanted: Sequence[Acl]) -> bool:
    """Whether both say the same; order, and priorities of 0 that are left out, do not matter."""
    if not isinstance(existing, list) or not all(isinstance(acl, dict) for acl in existing):
        return False
    return sorted(map(_as_text, existing)) == sorted(map(_as_text, wanted))


def _as_text(acl: Mapping[str, object]) -> str:
    return f"{acl.get('acltype')} {acl.get('topic')} {acl.get('priority', 0)} {acl.get('allow')}"


def _is_named(entry: object, key: str) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get(key), str)


def _is_node_name(node: str) -> bool:
    try:
        check_node_name(node)
    except (NameReserved, TopicError):
        return False
    return True
