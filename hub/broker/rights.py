"""Who may do what on the managed broker.

    account    client id   publishes                         subscribes and receives
    admin      any         $CONTROL/dynamic-security/#       $CONTROL/dynamic-security/#
    hub        hub         {root}/#                          {root}/#, $SYS/#, the filters of [[sources]]
    operator   any         {root}/+/cmd/+, …/telemetry/+,    {root}/#
                           {root}/$hub/+/cmd/+, …
    {node}     {node}      its own status, telemetry, log,   its own cmd/+ and stored
                           reply (wire.topics.node_sends)    (wire.topics.node_receives)
    {gateway}  {gateway}   the same, and that of each of its devices, named one by one: MQTT knows no prefixes
    {person}   {person}    operators: {root}/+/cmd/+,        {root}/#
                           {root}/$hub/+/cmd/+
                           analysts: nothing                 values, logs, states and alerts: no commands or replies

All else is refused; publishing, subscribing and receiving each by a rule of their own. ``operator`` and ``admin`` are
for this machine: any client id is the right to end the connection of anybody, so accounts that are handed out have one.
"""

from __future__ import annotations

import enum
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypedDict

from hub.broker.errors import NameReserved
from wire.topics import Topics, check_node_id, node_of_receipts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ADMIN: Final = "admin"
HUB: Final = "hub"
OPERATOR: Final = "operator"
#: Names that no node may have.
RESERVED: Final = frozenset({ADMIN, HUB, OPERATOR})

_NODE_ROLE: Final = "node-"
_GATEWAY_ROLE: Final = "gateway-"
_SUBSCRIBES: Final = "subscribePattern"
_CONTROL_TOPICS: Final = "$CONTROL/dynamic-security/#"
_SYS_TOPICS: Final = "$SYS/#"


class PersonRole(enum.StrEnum):
    """What an account of a person or program may do; the value is the name of the role that all of them share."""

    #: Commands nodes and reads everything below the root.
    OPERATOR = "operators"
    #: Reads values, logs, states and alerts; publishes nothing.
    ANALYST = "analysts"


class Acl(TypedDict):
    """One rule; ``acltype`` is publishClientSend, publishClientReceive or subscribePattern."""

    acltype: str
    topic: str
    priority: int
    allow: bool


@dataclass(frozen=True, slots=True)
class Account:
    """An account with one role of its own."""

    username: str
    password: str
    #: None: any client id.
    client_id: str | None
    role: str
    acls: tuple[Acl, ...]


def new_password() -> str:
    """128 random bits as 32 characters that need no quoting in shells, URLs and configuration files."""
    return secrets.token_hex(16)


def admin_account(password: str) -> Account:
    """May manage accounts and nothing else."""
    return Account(ADMIN, password, None, ADMIN, _acls(sends=(_CONTROL_TOPICS,), receives=(_CONTROL_TOPICS,)))


def hub_account(password: str, topics: Topics, sources: Sequence[str] = ()) -> Account:
    """The hub: all below the root, the broker's own figures, and the topics of other ecosystems in ``sources``."""
    every = topics.every()
    return Account(HUB, password, HUB, HUB, _acls(sends=(every,), receives=(every, _SYS_TOPICS, *sources)))


def operator_account(password: str, topics: Topics) -> Account:
    """People and scripts on this machine: see all, send commands and test values."""
    acls = _acls(sends=topics.operator_sends(), receives=(topics.every(),))
    return Account(OPERATOR, password, None, OPERATOR, acls)


def node_account(node: str, password: str, topics: Topics) -> Account:
    """A device, gateway or agent; its client id is its node id.

    Raises:
        TopicError: ``node`` is outside the grammar of node ids.
        NameReserved: the hub itself uses it.
    """
    return Account(check_node_name(node), password, node, role_of(node), node_acls(topics, node))


def node_acls(topics: Topics, node: str) -> tuple[Acl, ...]:
    """What ``node`` may do: publish and read its own topics, and never command itself."""
    return _acls(sends=topics.node_sends(node), receives=topics.node_receives(node))


def gateway_account(gateway: str, password: str, topics: Topics, devices: Sequence[str] = ()) -> Account:
    """A gateway: a node that also speaks for ``devices``, which have no accounts of their own.

    Raises:
        TopicError, NameReserved: as :func:`node_account`, for each name.
    """
    role = gateway_role_of(check_node_name(gateway))
    return Account(gateway, password, gateway, role, gateway_acls(topics, gateway, devices))


def gateway_acls(topics: Topics, gateway: str, devices: Sequence[str]) -> tuple[Acl, ...]:
    """What ``gateway`` may do: as a node, for itself and for each of ``devices``."""
    speaks_for = [gateway, *(check_node_name(device) for device in sorted(set(devices) - {gateway}))]
    return tuple(acl for node in speaks_for for acl in node_acls(topics, node))


def devices_of(gateway: str, acls: Sequence[Mapping[str, Any]]) -> list[str]:
    """The devices that these rights of ``gateway`` are for; whatever their root."""
    receipts = (acl.get("topic", "") for acl in acls if acl.get("acltype") == _SUBSCRIBES)
    nodes = {node for topic in receipts if (node := node_of_receipts(topic)) is not None}
    return sorted(nodes - {gateway})


def person_acls(topics: Topics, role: PersonRole) -> tuple[Acl, ...]:
    """What operators or analysts may do."""
    if role is PersonRole.OPERATOR:
        return _acls(sends=(topics.every_command(), topics.every_hub_command()), receives=(topics.every(),))
    return _acls(sends=(), receives=topics.analyst_receives())


def role_of(node: str) -> str:
    """Name of the role of ``node``."""
    return f"{_NODE_ROLE}{node}"


def gateway_role_of(gateway: str) -> str:
    """Name of the role of ``gateway``."""
    return f"{_GATEWAY_ROLE}{gateway}"


def node_of(role: str) -> str | None:
    """The node whose role this is; None for other roles."""
    return role.removeprefix(_NODE_ROLE) if role.startswith(_NODE_ROLE) else None


def gateway_of(role: str) -> str | None:
    """The gateway whose role this is; None for other roles."""
    return role.removeprefix(_GATEWAY_ROLE) if role.startswith(_GATEWAY_ROLE) else None


def check_node_name(node: str) -> str:
    """Return ``node``.

    Raises:
        TopicError: outside the grammar of node ids.
        NameReserved: the hub itself uses it; or no path of HTTP could name it.
    """
    if check_node_id(node) in (".", ".."):
        raise NameReserved(f"a node cannot be called {node!r}: in addresses of HTTP that means something else")
    if node in RESERVED:
        names = ", ".join(sorted(RESERVED))
        raise NameReserved(f"a node cannot be called {node!r}: {names} are the hub's own accounts on the broker")
    return node


def _acls(*, sends: Sequence[str], receives: Sequence[str]) -> tuple[Acl, ...]:
    return (
        *(_allow("publishClientSend", topic) for topic in sends),
        *(_allow("publishClientReceive", topic) for topic in receives),
        *(_allow(_SUBSCRIBES, topic) for topic in receives),
    )


def _allow(kind: str, topic: str) -> Acl:
    return {"acltype": kind, "topic": topic, "priority": 0, "allow": True}
