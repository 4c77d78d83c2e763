"""Who asks, and what that allows: the one place that says what roles, scopes and access groups mean.

    may                                                     viewer   operator   admin
    see nodes and their data, alerts, commands, rules         ×         ×         ×      of the nodes they see
    command nodes; acknowledge, assign, comment, silence;               ×         ×      of the nodes they see
      replay refused messages
    users, accounts, nodes and their groups, join tokens,                         ×
      rules, channels; drop refused messages
    read users, logins, denials, the journal                                      ×      also with scope read

A token may at most what its scope says: ``read`` what viewers may, ``operate`` what operators may, ``full`` all.
Users with access groups see the nodes of these groups and nothing of any other; administrators see all nodes.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec


class Role(enum.StrEnum):
    """What a user may do."""

    ADMIN = "admin"
    #: Reads, commands nodes, handles alerts.
    OPERATOR = "operator"
    #: Reads, changes nothing.
    VIEWER = "viewer"


class Scope(enum.StrEnum):
    """What a token may do, at most what its user may."""

    FULL = "full"
    OPERATE = "operate"
    READ = "read"


_RANK: Final = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.ADMIN: 2}
_MOST: Final = {Scope.READ: 0, Scope.OPERATE: 1, Scope.FULL: 2}


class Caller(msgspec.Struct, frozen=True):
    """The holder of a valid token."""

    user: str
    role: Role
    scope: Scope
    #: ns; None: until it is revoked.
    expires_ns: int | None
    #: Access groups; None: sees all nodes.
    groups: frozenset[str] | None = None
    #: The nodes of these groups; None: all there are and will be.
    nodes: frozenset[str] | None = None
    #: Made by a login, or for the CLI of this machine; not by somebody who asked for a token.
    session: bool = True
    #: Of the token; None where it has none.
    token_id: int | None = None

    @property
    def may_change(self) -> bool:
        """Whether everything is allowed."""
        return self._rank >= _RANK[Role.ADMIN]

    @property
    def may_operate(self) -> bool:
        """Whether nodes may be commanded and alerts be handled; those that the caller sees."""
        return self._rank >= _RANK[Role.OPERATOR]

    @property
    def may_audit(self) -> bool:
        """Whether users, logins and the journal may be read."""
        return self.role is Role.ADMIN

    def may_see(self, node: str | None) -> bool:
        """Whether ``node`` may be shown; None is what belongs to no node, for those who see all."""
        return self.nodes is None or node in self.nodes

    @property
    def _rank(self) -> int:
        return min(_RANK[self.role], _MOST[self.scope])


def least(one: Scope, other: Scope) -> Scope:
    """The narrower of two scopes."""
    return min(one, other, key=_MOST.__getitem__)


def widest(role: Role) -> Scope:
    """The scope beyond which a role gains nothing."""
    return next(scope for scope, rank in _MOST.items() if rank == _RANK[role])
