"""An InfluxDB 3.x as far as its API goes: what it is written and asked lies in a real InfluxDB 1.x.

Provisioning is :class:`tests.support.influx_api.Api3`; ``GET /query`` and ``POST /api/v2/write`` go on to the 1.x, in
which each database of the 3.x is one. A query in a body, and one with a retention policy, are refused as on 3.x.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import httpx

from tests.support.influx_api import Api3
from tests.support.scripted_http import Response, says

if TYPE_CHECKING:
    from tests.support.influx import Influxd
    from tests.support.scripted_http import Request


class Front3:
    """``answer`` is for a :class:`tests.support.scripted_http.ScriptedServer`.

    ``prefix``: of the names of its databases in the 1.x.
    """

    #: A query over more than this is refused, as 3 Core refuses one over too many files; None refuses nothing.
    most_ns: int | None = None
    now_ns = 0

    def __init__(self, behind: Influxd, prefix: str) -> None:
        assert behind.generation == 1
        self.api = Api3(asks=False)
        self._behind = behind
        self._prefix = prefix
        self._client = httpx.Client(base_url=behind.url, timeout=30)

    def close(self) -> None:
        self._client.close()

    def database(self, name: str) -> str:
        """What it is called in the 1.x, whose names have no slash."""
        return self._prefix + name.replace("/", "-")

    def answer(self, request: Request) -> Response:
        if request.path == "/query":
            return self._query(request)
        if request.path == "/api/v2/write":
            return self._write(request)
        before = set(self.api.databases)
        answer = self.api.answer(request)
        for name in self.api.databases.keys() - before:
            self._behind.create(self.database(name))
        return answer

    # -- private ------------------------------------------------------------------------------------------------------

    def _query(self, request: Request) -> Response:
        assert request.method == "GET", "3.x takes a query in the address alone"
        assert '"."' not in request.query["q"], "3.x has no retention policies in statements"
        name = request.query["db"]
        if name not in self.api.databases:
            return says(404, error=f"database not found: {name}")
        if self.most_ns is not None and self._span_ns(request.query["q"]) > self.most_ns:
            return says(500, error="External error: Query would exceed file limit of 432 parquet files.")
        parameters = {**request.query, "db": self.database(name)}
        found = self._client.get("/query", params=parameters)
        return Response(found.status_code, json.dumps(found.json()).encode())

    def _span_ns(self, query: str) -> int:
        """How long the time is that a query looks through."""
        if query.startswith("SHOW"):
            return 0
        times = re.search(r"time >= (\d+) AND time < (\d+)", query)
        return self.now_ns if times is None else min(int(times[2]), self.now_ns) - int(times[1])

    def _write(self, request: Request) -> Response:
        name = request.query.get("bucket", "")
        if not request.body:
            return Response(204)
        if name not in self.api.databases:
            return says(404, error=f"database not found: {name}")
        parameters = {"db": self.database(name), "precision": request.query["precision"]}
        found = self._client.post("/write", params=parameters, content=request.body)
        return Response(found.status_code, found.content)
