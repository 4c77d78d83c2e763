"""Topics of the contract: the only file that joins or splits a topic with ``/``.

{root}/{node}/status                    {root}/{node}/stored
{root}/{node}/telemetry/{measurement}   {root}/{node}/alert/{rule}
{root}/{node}/log                       {root}/{node}/stats/{measurement}
{root}/{node}/cmd/{command}             {root}/$hub/{hub}/status
{root}/{node}/reply/{id}                {root}/$hub/{hub}/cmd/{command}
                                        {root}/$hub/{hub}/reply/{id}
"""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING, Final

import msgspec

from wire.errors import Reason, TopicError

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_ROOT: Final = "iot/v1"
_NODE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
#: Code points that are no characters, the last two of each plane among them.
_NO_CHARACTERS: Final = "\ud800-\udfff\ufdd0-\ufdef" + "".join(
    chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17)
)
#: Node ids, measurements, commands and reply ids are one topic level each. Control characters (C1 too) and what is no
#: character: brokers may end the connection of whoever sends such a topic (MQTT 5 §1.5.4), and Mosquitto does.
_NAME: Final = re.compile(rf"[^/+#\x00-\x1f\x7f-\x9f{_NO_CHARACTERS}]{{1,128}}")
_FILTER: Final = re.compile(r"(?!$)(?:#|(?:\+|[^+#/\x00]*)(?:/(?:\+|[^+#/\x00]*))*(?:/#)?)")
_HUB_LEVEL: Final = "$hub"
_LONGEST_SHOWN: Final = 120


class Kind(enum.StrEnum):
    """What a topic of the contract carries."""

    STATUS = "status"
    TELEMETRY = "telemetry"
    LOG = "log"
    COMMAND = "cmd"
    REPLY = "reply"
    STORED = "stored"
    ALERT = "alert"
    STATS = "stats"
    HUB_STATUS = "hub-status"
    #: To the hub itself: acknowledge an alert, silence a node.
    HUB_COMMAND = "hub-cmd"
    HUB_REPLY = "hub-reply"


_WITHOUT_NAME: Final = frozenset({Kind.STATUS, Kind.LOG, Kind.STORED})
_BY_HUB_LEVEL: Final = {"status": Kind.HUB_STATUS, "cmd": Kind.HUB_COMMAND, "reply": Kind.HUB_REPLY}
_BY_LEVEL: Final = {kind.value: kind for kind in Kind if kind not in _BY_HUB_LEVEL.values()}


class Address(msgspec.Struct, frozen=True):
    """A parsed topic: who it belongs to and what it carries."""

    kind: Kind
    #: Node id; for the kinds of the hub its own id.
    node: str
    #: Measurement, command, reply id or rule; empty where the kind has none.
    name: str = ""


def check_node_id(node: str) -> str:
    """Return ``node``; raise :class:`TopicError` unless it matches ``[A-Za-z0-9._-]{1,64}``."""
    if _NODE_ID.fullmatch(node) is None:
        raise TopicError(Reason.BAD_NODE_ID, f"node id {node[:_LONGEST_SHOWN]!r} is not 1 to 64 of A-Z a-z 0-9 . _ -")
    return node


def is_name(text: str) -> bool:
    """Whether it can be one topic level of at most 128 characters."""
    return _NAME.fullmatch(text) is not None


def check_name(name: str, what: str) -> str:
    """Return ``name``; raise :class:`TopicError` unless :func:`is_name`."""
    if not is_name(name):
        raise TopicError(
            Reason.UNKNOWN_TOPIC,
            f"{what} {name[:_LONGEST_SHOWN]!r} is not 1 to 128 characters without / + # and control characters",
        )
    return name


class Topics(msgspec.Struct, frozen=True):
    """Builds and parses the topics below one root (setting ``mqtt.root``)."""

    root: str = DEFAULT_ROOT

    # -- topics of one node ---------------------------------------------------------------------------------------

    def status(self, node: str) -> str:
        return f"{self.root}/{check_node_id(node)}/status"

    def telemetry(self, node: str, measurement: str) -> str:
        return f"{self.root}/{check_node_id(node)}/telemetry/{check_name(measurement, 'measurement')}"

    def log(self, node: str) -> str:
        return f"{self.root}/{check_node_id(node)}/log"

    def command(self, node: str, command: str) -> str:
        return f"{self.root}/{check_node_id(node)}/cmd/{check_name(command, 'command')}"

    def commands(self, node: str) -> str:
        """Topic filter for all commands to ``node``."""
        return f"{self.root}/{check_node_id(node)}/cmd/+"

    def reply(self, node: str, request_id: str) -> str:
        return f"{self.root}/{check_node_id(node)}/reply/{check_name(request_id, 'reply id')}"

    def replies(self, node: str) -> str:
        """Topic filter for all replies of ``node``."""
        return f"{self.root}/{check_node_id(node)}/reply/+"

    def stored(self, node: str) -> str:
        return f"{self.root}/{check_node_id(node)}/stored"

    def alert(self, node: str, rule: str) -> str:
        return f"{self.root}/{check_node_id(node)}/alert/{check_name(rule, 'rule')}"

    def stats(self, node: str, measurement: str) -> str:
        return f"{self.root}/{check_node_id(node)}/stats/{check_name(measurement, 'measurement')}"

    def hub_status(self, hub: str) -> str:
        return f"{self.root}/{_HUB_LEVEL}/{check_node_id(hub)}/status"

    def hub_command(self, hub: str, command: str) -> str:
        return f"{self.root}/{_HUB_LEVEL}/{check_node_id(hub)}/cmd/{check_name(command, 'command')}"

    def hub_reply(self, hub: str, request_id: str) -> str:
        return f"{self.root}/{_HUB_LEVEL}/{check_node_id(hub)}/reply/{check_name(request_id, 'reply id')}"

    # -- rights and subscriptions ---------------------------------------------------------------------------------

    def every(self) -> str:
        """Topic filter for all that travels below the root."""
        return f"{self.root}/#"

    def every_status(self) -> str:
        """Topic filter for the births and wills of all nodes."""
        return f"{self.root}/+/status"

    def node_sends(self, node: str) -> tuple[str, ...]:
        """Topic filters that ``node`` may publish to; nothing else, and never a command to itself."""
        base = f"{self.root}/{check_node_id(node)}"
        return (f"{base}/status", f"{base}/telemetry/+", f"{base}/log", f"{base}/reply/+")

    def node_receives(self, node: str) -> tuple[str, ...]:
        """Topic filters that ``node`` may subscribe to and receive."""
        base = f"{self.root}/{check_node_id(node)}"
        return (f"{base}/cmd/+", f"{base}/stored")

    def every_command(self) -> str:
        """Topic filter for the commands to all nodes."""
        return f"{self.root}/+/cmd/+"

    def every_hub_command(self) -> str:
        """Topic filter for the commands to hubs themselves."""
        return f"{self.root}/{_HUB_LEVEL}/+/cmd/+"

    def analyst_receives(self) -> tuple[str, ...]:
        """Topic filters for what nodes measure and say, and what the hub finds in it; no commands and replies."""
        levels = ("status", "log", "telemetry/+", "alert/+", "stats/+")
        return (*(f"{self.root}/+/{level}" for level in levels), f"{self.root}/{_HUB_LEVEL}/+/status")

    def operator_sends(self) -> tuple[str, ...]:
        """Topic filters that an operator may publish to."""
        return (self.every_command(), self.every_hub_command(), f"{self.root}/+/telemetry/+", f"{self.root}/+/log")

    # -- parsing --------------------------------------------------------------------------------------------------

    def parse(self, topic: str) -> Address:
        """Take a topic apart.

        Raises:
            TopicError: outside the root, unknown level, missing or extra levels, or a name outside its grammar.
        """
        prefix = self.root + "/"
        if not topic.startswith(prefix):
            raise TopicError(Reason.UNKNOWN_TOPIC, f"{topic[:_LONGEST_SHOWN]!r} is not below {self.root!r}")
        node, *levels = topic[len(prefix) :].split("/")
        if node == _HUB_LEVEL:
            return _of_hub(topic, levels)
        check_node_id(node)
        kind = _BY_LEVEL.get(levels[0]) if levels else None
        if kind is None:
            known = ", ".join(sorted(_BY_LEVEL))
            shown = levels[0][:_LONGEST_SHOWN] if levels else ""
            raise TopicError(Reason.UNKNOWN_TOPIC, f"{shown!r} after the node id is none of {known}")
        if kind in _WITHOUT_NAME:
            if len(levels) != 1:
                raise TopicError(Reason.UNKNOWN_TOPIC, f"{kind} takes no further level: {topic[:_LONGEST_SHOWN]!r}")
            return Address(kind, node)
        if len(levels) != 2:  # noqa: PLR2004  kind, name
            raise TopicError(
                Reason.UNKNOWN_TOPIC, f"{kind} takes exactly one further level: {topic[:_LONGEST_SHOWN]!r}"
            )
        return Address(kind, node, check_name(levels[1], str(kind)))


def _of_hub(topic: str, levels: list[str]) -> Address:
    """The address below ``$hub``: {hub}/status, {hub}/cmd/{command}, {hub}/reply/{id}."""
    kind = _BY_HUB_LEVEL.get(levels[1]) if len(levels) > 1 else None
    if kind is None or len(levels) != (2 if kind is Kind.HUB_STATUS else 3):
        raise TopicError(
            Reason.UNKNOWN_TOPIC,
            f"{topic[:_LONGEST_SHOWN]!r}: below {_HUB_LEVEL} only {{hub}}/status, /cmd/{{command}} and /reply/{{id}}",
        )
    hub = check_node_id(levels[0])
    return Address(kind, hub, check_name(levels[2], str(kind)) if len(levels) > 2 else "")  # noqa: PLR2004  a name


def node_of_receipts(topic: str) -> str | None:
    """The node whose topic of receipts this is, below any root; None for other topics."""
    *_, node, level = ("", *topic.split("/"))
    return node if level == Kind.STORED and _NODE_ID.fullmatch(node) is not None else None


def check_root(root: str) -> str:
    """Return ``root``; raise :class:`TopicError` unless it is one or more plain topic levels."""
    for level in root.split("/"):
        check_name(level, "level of the root")
    if root.startswith("$"):
        raise TopicError(
            Reason.UNKNOWN_TOPIC, f"root {root!r} may not start with $: wildcards do not match such topics"
        )
    return root


def check_filter(topic_filter: str) -> str:
    """Return ``topic_filter``; raise :class:`TopicError` unless ``+`` and ``#`` stand where MQTT 5 §4.7 lets them."""
    if _FILTER.fullmatch(topic_filter) is None:
        shown = topic_filter[:_LONGEST_SHOWN]
        raise TopicError(
            Reason.UNKNOWN_TOPIC, f"{shown!r} is no topic filter: + and # fill a whole level, and # only the last"
        )
    return topic_filter


def levels(topic: str) -> list[str]:
    """Split a topic of another ecosystem into its levels."""
    return topic.split("/")


def matches(topic_filter: str, topic: str) -> bool:
    """Whether ``topic_filter`` (with ``+`` and ``#``) matches ``topic``; MQTT 5 §4.7."""
    if topic.startswith("$") and not topic_filter.startswith("$"):
        return False
    wanted, got = topic_filter.split("/"), topic.split("/")
    for i, level in enumerate(wanted):
        if level == "#":
            return True
        if i >= len(got) or level not in ("+", got[i]):
            return False
    return len(wanted) == len(got)


def covers(wide: str, narrow: str) -> bool:
    """Whether ``wide`` matches every topic that the filter ``narrow`` matches."""
    if narrow.startswith("$") and not wide.startswith("$"):
        return False
    if narrow == "#":
        return wide in ("#", "+/#")  # every topic has a first level
    asked, given = wide.split("/"), narrow.split("/")
    for i, level in enumerate(asked):
        if level == "#":
            return True
        if i >= len(given) or given[i] == "#" or level not in ("+", given[i]):
            return False
    return len(asked) == len(given)


def overlap(one: str, other: str) -> bool:
    """Whether there is a topic that both filters match."""
    if one.startswith("$") is not other.startswith("$"):
        return False
    shorter, longer = sorted((one.split("/"), other.split("/")), key=len)
    for a, b in zip(shorter, longer, strict=False):
        if "#" in (a, b):
            return True
        if a != b and "+" not in (a, b):
            return False
    return len(shorter) == len(longer) or longer[len(shorter)] == "#"


def without_covered(topic_filters: Iterable[str]) -> list[str]:
    """The filters that no other one covers, in order: a broker delivers a message once for each that matches it."""
    kept: list[str] = []
    for topic_filter in topic_filters:
        if not any(covers(other, topic_filter) for other in kept):
            kept = [other for other in kept if not covers(topic_filter, other)]
            kept.append(topic_filter)
    return kept
