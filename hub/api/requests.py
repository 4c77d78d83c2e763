"""Query parameters that several routes share: pages, time ranges, and none that nobody asked for."""

import base64
import binascii
from collections.abc import Iterator
from typing import Annotated, Any, Final, TypeVar

import msgspec
from fastapi import Query, Request
from fastapi.dependencies.models import Dependant

from hub.api.problems import ProblemError, wrong_parameter
from hub.api.schemas import ProblemItem
from hub.api.times import parse_time

_Place = TypeVar("_Place", bound=msgspec.Struct)
#: What databases number their rows with, and what nanoseconds fit in.
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

#: Prefix of the parameters of ``GET query`` and ``GET series`` that select by tag.
TAG_PREFIX: Final = "tag."
_LONGEST_TEXT: Final = 256
_MAX_PAGE: Final = 1000

#: How many items a page has at most.
PageLimit = Annotated[int, Query(ge=1, le=_MAX_PAGE, description="items on a page")]
PageCursor = Annotated[
    str | None, Query(alias="page", max_length=4096, description="`next` of the page before", examples=[None])
]
#: Free text of a filter.
Glob = Annotated[str | None, Query(max_length=_LONGEST_TEXT, description="shell glob; all when left out")]
Text = Annotated[str | None, Query(max_length=_LONGEST_TEXT)]
Start = Annotated[
    str,
    Query(max_length=64, description="ISO 8601 with an offset, Unix time in ms, or relative to now", examples=["-1h"]),
]
Stop = Annotated[
    str, Query(max_length=64, description="as `start`; samples at this very time are left out", examples=["now"])
]

TAG_PARAMETER: Final[dict[str, Any]] = {
    "name": TAG_PREFIX + "NAME",
    "in": "query",
    "required": False,
    "description": "Value that the tag NAME must have; may be given for several tags.",
    "schema": {"type": "string"},
}


def known_parameters(request: Request) -> None:
    """Refuse query parameters that the route does not have, and those given twice: a typo must not select all.

    Raises:
        ProblemError: 422 that names each.
    """
    route = request.scope["route"]
    known = set(_names(route.dependant))
    tags = TAG_PARAMETER in (route.openapi_extra or {}).get("parameters", ())
    given = [name for name, _ in request.query_params.multi_items()]
    wrong = [
        ProblemItem(where=f"query.{name}"[:_LONGEST_TEXT], message=f"unknown; known are {_listed(known, tags=tags)}")
        for name in dict.fromkeys(given)
        if name not in known and not (tags and name.startswith(TAG_PREFIX) and name != TAG_PREFIX)
    ]
    wrong += [
        ProblemItem(where=f"query.{name}"[:_LONGEST_TEXT], message="given more than once")
        for name in dict.fromkeys(given)
        if given.count(name) > 1
    ]
    if wrong:
        raise ProblemError(422, f"{wrong[0].where}: {wrong[0].message}", errors=wrong)


def tags_of(request: Request) -> dict[str, str]:
    """The ``tag.NAME=value`` parameters."""
    return {
        name.removeprefix(TAG_PREFIX): value
        for name, value in request.query_params.items()
        if name.startswith(TAG_PREFIX)
    }


def time_range(start: str, stop: str, now_ns: int) -> tuple[int, int]:
    """Both ends in ns.

    Raises:
        ProblemError: 422 that names the wrong one.
    """
    ends = []
    for name, text in (("start", start), ("stop", stop)):
        try:
            ends.append(parse_time(text, now_ns))
        except ValueError as error:
            raise wrong_parameter(f"query.{name}", f"{text!r} {error}") from error
    if ends[0] >= ends[1]:
        raise wrong_parameter("query.stop", "is not after start")
    return ends[0], ends[1]


class NamedPlace(msgspec.Struct, frozen=True, array_like=True):
    """Place in a list in order of names: the last one shown."""

    name: str


class NumberedPlace(msgspec.Struct, frozen=True, array_like=True):
    """Place in a list in falling order of numbers: the last one shown."""

    number: Int64


def to_cursor(place: msgspec.Struct) -> str:
    """Text for ``?page=`` from where a page ends."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def from_cursor(cursor: str, kind: type[_Place]) -> _Place:
    """The place that :func:`to_cursor` was given.

    Raises:
        ProblemError: 422: it is none of ours.
    """
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=kind)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise wrong_parameter("query.page", "is not the next of an earlier page of this list") from error


def _names(dependant: Dependant) -> Iterator[str]:
    for parameter in dependant.query_params:
        yield parameter.alias
    for inner in dependant.dependencies:
        yield from _names(inner)


def _listed(known: set[str], *, tags: bool) -> str:
    return ", ".join([*sorted(known), *([TAG_PREFIX + "NAME"] if tags else [])]) or "none"
