"""Asking InfluxQL: statements in, answers out, and what each refusal means.

Every statement names the measurements of one database; answers hold times in ns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from hub.store.base import QueryError, StoreUnavailable
from hub.store.influx_send import reason_of
from hub.store.influx_server import Generation
from hub.store.influxql import Answer, Result, joined, parse_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.store.influx_http import Http, Reply

#: Statements in one request: a long query is quick to answer but must not grow without bound.
_MOST_STATEMENTS: Final = 100
_OK: Final = 200
_BAD: Final = frozenset({400, 422})
_REFUSED: Final = frozenset({401, 403})


class Asker:
    """Asks one database."""

    def __init__(self, http: Http, database: str, generation: Generation) -> None:
        self._http = http
        self._database = database
        #: 3.x takes a query in the address alone.
        self._is_in_address = generation is Generation.V3

    async def ask(self, statements: Sequence[str], *, database: str | None = None) -> list[Result]:
        """One result a statement, in order.

        Raises:
            StoreUnavailable: no answer, or one that a person has to change something for.
            QueryError: the server cannot answer such a query.
        """
        results: list[Result] = []
        step = 1 if self._is_in_address else _MOST_STATEMENTS
        for start in range(0, len(statements), step):
            results += await self._ask(statements[start : start + step], database or self._database)
        return results

    async def has(self, database: str) -> bool:
        """Whether there is a database that we may read.

        Raises:
            StoreUnavailable: no answer, or no right to read.
        """
        try:
            await self.ask(["SHOW MEASUREMENTS"], database=database)
        except Missing:
            return False
        return True

    async def _ask(self, statements: Sequence[str], database: str) -> list[Result]:
        parameters, query = {"db": database, "epoch": "ns"}, joined(statements)
        if self._is_in_address:
            reply = await self._http.get("/query", {**parameters, "q": query})
        else:
            reply = await self._http.form("/query", parameters, {"q": query})
        answer = self._answer(reply)
        for result in answer.results:
            if result.error:
                raise self._failed(_OK, result.error)
            if result.partial:
                raise QueryError(
                    "InfluxDB cut the answer short (its max-row-limit): choose a shorter range, fewer series"
                )
        return answer.results

    def _answer(self, reply: Reply) -> Answer:
        if reply.status != _OK:
            raise self._failed(reply.status, reason_of(reply), reply.retry_after_s)
        try:
            answer = parse_answer(reply.body)
        except msgspec.DecodeError as error:
            raise StoreUnavailable(f"{self._http.access.url}/query did not answer as InfluxDB does: {error}") from error
        if answer.error:
            raise self._failed(_OK, answer.error)
        return answer

    def _failed(self, status: int, said: str, retry_after_s: float | None = None) -> Exception:
        where = f"InfluxDB at {self._http.access.url}"
        if "file limit" in said:  # 3 Core, whatever the status
            advice = "choose a shorter range, or give the server a larger --query-file-limit"
            return QueryError(f"{where} cannot answer this: {said}; {advice}")
        if status in _REFUSED:
            return Unreadable(f"{where} does not let us read {self._database!r}: {said}; give a token or user that may")
        if "retention policy not found" in said:
            return StoreUnavailable(
                f"{where}: {said}; create the retention policy, or correct store.influx.retention_policy", 10.0
            )
        if "database not found" in said or "not found" in said or status == 404:  # noqa: PLR2004  the status itself
            return Missing(
                f"{where}: {said}; create database (bucket, DBRP) {self._database!r}, or correct store.influx.database",
                10.0,
            )
        if status == _OK or status in _BAD:
            return QueryError(f"{where} cannot answer this: {said}")
        return StoreUnavailable(f"{where} answered {status} to a query: {said}", retry_after_s)


class Missing(StoreUnavailable):
    """There is no such database."""


class Unreadable(StoreUnavailable):
    """We may write but not read."""
