"""From the claims of an ID token to a user of the hub: name, role and access groups. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hub.nodes.callers import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.config_oidc import OidcSettings

#: Users' names of ours, and what addresses of e-mail have besides.
_NAME: Final = re.compile(r"[A-Za-z0-9._@+-]{1,64}")
_LONGEST_GROUP: Final = 64
_MOST_GROUPS: Final = 100


class NoRights(Exception):  # noqa: N818  the name says what the caller is told
    """The issuer knows the person, and nothing that it says gives a role here."""


class Person(msgspec.Struct, frozen=True):
    """Who logged in, as the issuer says."""

    issuer: str
    #: What the issuer never gives to another person.
    subject: str
    name: str
    #: None: no right to be here.
    role: Role | None
    #: Access groups; None: the issuer says nothing about them.
    groups: tuple[str, ...] | None


def person_of(claims: Mapping[str, Any], settings: OidcSettings) -> Person:
    """Who that is.

    Raises:
        NoRights: no claim is a name that a user can have.
    """
    candidates = (value_at(claims, settings.user_claim), claims.get("email"), claims.get("sub"))
    name = next((one for one in candidates if isinstance(one, str) and _NAME.fullmatch(one)), None)
    if name is None:
        raise NoRights(
            f"None of the claims {settings.user_claim}, email and sub is a name of 1 to 64 letters, digits and ._@+-; "
            "see api.oidc.user_claim."
        )
    role = role_of(texts(value_at(claims, settings.role_claim)), settings)
    groups = None
    if settings.group_claim:
        fitting = {one for one in texts(value_at(claims, settings.group_claim)) if 0 < len(one) <= _LONGEST_GROUP}
        groups = tuple(sorted(fitting)[:_MOST_GROUPS])
    return Person(str(claims["iss"]), str(claims["sub"]), name, role, groups)


def role_of(values: frozenset[str], settings: OidcSettings) -> Role | None:
    """The greatest role that one of ``values`` gives."""
    for role, wanted in (
        (Role.ADMIN, settings.admins),
        (Role.OPERATOR, settings.operators),
        (Role.VIEWER, settings.viewers),
    ):
        if values.intersection(wanted):
            return role
    return Role(settings.default_role) if settings.default_role is not None else None


def value_at(claims: Mapping[str, Any], path: str) -> Any:
    """The claim of that name, dots and all; else the one that the dots lead to; None where there is none."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for step in path.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found


def texts(value: Any) -> frozenset[str]:
    """One text, or those of a list; nothing else counts."""
    if isinstance(value, str):
        return frozenset((value,))
    return frozenset(one for one in value if isinstance(one, str)) if isinstance(value, list) else frozenset()
