"""Errors as RFC 9457 problem documents: every answer of 400 and above has this form."""

from __future__ import annotations

import http
from typing import TYPE_CHECKING, Any, Final

from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from hub.api.headers import SECURITY_HEADERS
from hub.api.schemas import Problem, ProblemItem
from hub.broker.errors import AccountError, AccountExists, NameReserved, NoSuchAccount
from hub.live import LiveFull
from hub.nodes.database import RegistryError
from hub.statefaults import StateError, StateUnavailable
from hub.store.base import QueryError, StoreError, StoreUnavailable
from wire.errors import TopicError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fastapi import FastAPI
    from fastapi.requests import HTTPConnection, Request

PROBLEM_TYPE: Final = "application/problem+json"
_URN: Final = "urn:iothub:problem:"
_RETRY_S: Final = 5.0
_LONGEST_SHOWN: Final = 200
#: What people are told where Starlette would repeat the title.
_DETAILS: Final = {
    404: "There is nothing at this path; GET /docs lists what there is.",
    405: "This path does not take that method; the header Allow lists those that it takes.",
    413: "The body of a request may have 1 MiB.",
}


class ProblemError(Exception):
    """Answer with a problem document.

    Args:
        status: HTTP status.
        detail: what is wrong and what to do.
        kind: short name for programs; becomes part of ``type``.
        headers: further headers.
        errors: every single fault, where there can be several.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str | None = None,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[ProblemItem] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind
        self.headers = dict(headers or {})
        self.errors = list(errors) if errors is not None else None


def wrong_parameter(where: str, message: str) -> ProblemError:
    """Answer 422 for one wrong parameter, e.g. ``query.start``."""
    return ProblemError(422, f"{where}: {message}", errors=[ProblemItem(where=where, message=message)])


def problem_response(connection: HTTPConnection, error: ProblemError) -> Response:
    """The document, with the headers that every answer has."""
    problem = Problem(
        type=_URN + error.kind if error.kind else "about:blank",
        title=http.HTTPStatus(error.status).phrase,
        status=error.status,
        detail=error.detail,
        instance=connection.url.path[:_LONGEST_SHOWN],
        errors=error.errors,
    )
    headers = {**SECURITY_HEADERS, **error.headers}
    body = problem.model_dump_json(exclude_none=True).encode("utf-8", "backslashreplace")
    return Response(body, error.status, headers, media_type=PROBLEM_TYPE)


def install(app: FastAPI) -> None:
    """Make every error that is foreseen a problem document; the others are the business of ``edge.py``."""
    for kind in _TRANSLATIONS:
        app.add_exception_handler(kind, _answer)


async def _answer(request: Request, error: Exception) -> Response:
    # The handlers are found by the order of inheritance, so that the nearest kind is found here too.
    translate = next(_TRANSLATIONS[kind] for kind in type(error).__mro__ if kind in _TRANSLATIONS)
    return problem_response(request, translate(error))


def _validation(errors: Sequence[Any]) -> ProblemError:
    items = [_item(error) for error in errors]
    first = items[0]
    more = f" (and {len(items) - 1} more)" if len(items) > 1 else ""
    return ProblemError(422, f"{first.where}: {first.message}{more}", errors=items)


def _item(error: Mapping[str, Any]) -> ProblemItem:
    if error["type"] == "json_invalid":
        _, position = error["loc"]
        return ProblemItem(where="body", message=f"no JSON at character {position}: {error['ctx']['error']}")
    # What was given is not repeated: it may be a password.
    return ProblemItem(where=".".join(str(part) for part in error["loc"])[:_LONGEST_SHOWN], message=error["msg"])


def _retry(wait_s: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, round(wait_s)))}


def _http(error: HTTPException) -> ProblemError:
    # Starlette repeats the title where nobody said more.
    detail = _DETAILS.get(error.status_code, str(error.detail))
    return ProblemError(error.status_code, detail, headers=error.headers)


def _unavailable(kind: str, text: str, wait_s: float | None = None) -> ProblemError:
    return ProblemError(503, text, kind=kind, headers=_retry(wait_s or _RETRY_S))


#: What each error of the parts means to a client; subclasses of a kind that is not here count as it.
_TRANSLATIONS: Final[Mapping[type[Exception], Callable[[Any], ProblemError]]] = {
    ProblemError: lambda error: error,
    HTTPException: _http,
    RequestValidationError: lambda error: _validation(error.errors()),
    QueryError: lambda error: ProblemError(422, str(error), kind="query"),
    StoreUnavailable: lambda error: _unavailable("store", f"The store does not answer: {error}", error.retry_after_s),
    StoreError: lambda error: ProblemError(503, f"The store waits for a person to act: {error}", kind="store"),
    RegistryError: lambda error: _unavailable("registry", f"The registry does not answer: {error}"),
    StateUnavailable: lambda error: _unavailable("state", f"The hub's records do not answer: {error}"),
    StateError: lambda error: ProblemError(503, f"The hub's records wait for a person to act: {error}", kind="state"),
    AccountExists: lambda error: ProblemError(409, f"The broker has such an account: {error}", kind="account-exists"),
    NoSuchAccount: lambda error: ProblemError(404, f"The broker has no such account: {error}", kind="no-account"),
    NameReserved: lambda error: ProblemError(422, str(error)),
    AccountError: lambda error: _unavailable("broker", f"The broker did not do it: {error}"),
    TopicError: lambda error: ProblemError(422, error.detail),
    LiveFull: lambda error: _unavailable("live-full", str(error)),
}
