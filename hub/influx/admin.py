"""Talking to the management side of an InfluxDB: InfluxQL statements of 1.x, JSON of 2.x and 3.x."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from hub.influx.steps import SetupFailed
from hub.store.influx_send import reason_of
from hub.store.influxql import parse_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.store.influx_http import Http, Reply
    from hub.store.influxql import Row

OK: Final = 200
UNAUTHORISED: Final = 401
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
CONFLICT: Final = 409


class Admin:
    """One server, as one of its accounts."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def influxql(self, statement: str, database: str = "") -> list[Row]:
        """The rows of the answer to one statement.

        Raises:
            SetupFailed: the server refuses it.
            StoreUnavailable: no answer.
        """
        reply = await self.try_influxql(statement, database)
        if reply.status != OK:
            raise self.refused(reply, what_it_was(statement))
        (result,) = parse_answer(reply.body).results
        if result.error:
            raise SetupFailed(f"InfluxDB at {self._http.access.url} refused `{what_it_was(statement)}`: {result.error}")
        return result.series

    async def try_influxql(self, statement: str, database: str = "") -> Reply:
        """Any answer to a statement."""
        parameters = {"db": database} if database else {}
        return await self._http.form("/query", parameters, {"q": statement})

    async def json(
        self, method: str, path: str, parameters: Mapping[str, str] | None = None, body: Any = None
    ) -> dict[str, Any]:
        """The JSON object of an answer.

        Raises:
            SetupFailed: the server refuses it.
            StoreUnavailable: no answer.
        """
        reply = await self.try_json(method, path, parameters, body)
        if not 200 <= reply.status < 300:  # noqa: PLR2004  what 2xx means
            raise self.refused(reply, f"{method} {path}")
        return found_in(reply)

    async def try_json(
        self, method: str, path: str, parameters: Mapping[str, str] | None = None, body: Any = None
    ) -> Reply:
        """Any answer to a request."""
        return await self._http.json(method, path, parameters, None if body is None else msgspec.json.encode(body))

    def refused(self, reply: Reply, what: str) -> SetupFailed:
        """Words for an answer that was not hoped for."""
        advice = ""
        if reply.status in (UNAUTHORISED, FORBIDDEN):
            advice = "; provisioning needs an administrator's password or token: see `iothub influx setup --help`"
        said = f"answered {reply.status} to `{what}`: {reason_of(reply)}"
        return SetupFailed(f"InfluxDB at {self._http.access.url} {said}{advice}")


def found_in(reply: Reply) -> dict[str, Any]:
    """The JSON object in an answer; empty when it holds none."""
    try:
        found = msgspec.json.decode(reply.body)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def what_it_was(statement: str) -> str:
    """A statement without the passwords in it."""
    return statement.partition(" WITH PASSWORD ")[0]
