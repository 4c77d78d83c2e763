"""Whether an account may publish what its will says: the broker drops a will that it must not publish, silently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hub.broker import dynsec
from hub.broker.errors import AccountsBroken
from wire.topics import matches

if TYPE_CHECKING:
    from pathlib import Path

_SEND: Final = "publishClientSend"


class Rights:
    """Who may publish what, by the plugin's own file; read again when it has changed.

    Args:
        file: ``dynamic-security.json``, which the broker may be rewriting.
        root: of the topics; a node's own status needs no look into the file.
    """

    def __init__(self, file: Path, root: str) -> None:
        self._file = file
        self._root = root
        self._version = (0, 0)
        #: Account → (topic filter, allowed), the first that matches decides.
        self._rules: dict[str, list[tuple[str, bool]]] = {}

    def may_publish(self, user: str, topic: str) -> bool:
        """Whether ``user`` may; True where that cannot be found out: nobody is accused on a guess."""
        if topic == f"{self._root}/{user}/status":
            return True
        try:
            found = self._file.stat()
            if self._version != (found.st_mtime_ns, found.st_ino):
                self._rules = _rules(dynsec.parse(self._file.read_bytes()))
                self._version = (found.st_mtime_ns, found.st_ino)
        except (OSError, AccountsBroken):
            return True
        rules = self._rules.get(user, [])
        return next((allow for topic_filter, allow in rules if matches(topic_filter, topic)), False)


def _rules(document: dict[str, Any]) -> dict[str, list[tuple[str, bool]]]:
    roles = {role["rolename"]: role.get("acls", []) for role in document.get("roles", [])}
    groups = {each["groupname"]: each.get("roles", []) for each in document.get("groups", [])}
    found = {}
    for client in document.get("clients", []):
        of_groups = [role for group in client.get("groups", []) for role in groups.get(group["groupname"], [])]
        held = sorted((*client.get("roles", []), *of_groups), key=lambda role: -role.get("priority", 0))
        acls = [acl for role in held for acl in _by_priority(roles.get(role["rolename"], []))]
        found[client["username"]] = [(acl["topic"], bool(acl["allow"])) for acl in acls if acl["acltype"] == _SEND]
    return found


def _by_priority(acls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(acls, key=lambda acl: -acl.get("priority", 0))
