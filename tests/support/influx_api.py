"""The management API of InfluxDB 2.x and of 3.x, as documented, kept in memory: for tests where no such server can run.

It checks what a server would: who asks, that ids exist, that names are not taken. It stores no data.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

from tests.support.scripted_http import Response, says

if TYPE_CHECKING:
    from tests.support.scripted_http import Request


class Api2:
    """InfluxDB 2.x. ``answer`` is for a :class:`tests.support.scripted_http.ScriptedServer`."""

    def __init__(self) -> None:
        self.is_set_up = False
        self.orgs: list[dict[str, Any]] = []
        self.buckets: list[dict[str, Any]] = []
        self.dbrps: list[dict[str, Any]] = []
        self.tasks: list[dict[str, Any]] = []
        self.authorizations: list[dict[str, Any]] = []
        #: Requests that change something.
        self.changes: list[str] = []
        self._ids = (f"{number:016x}" for number in itertools.count(1))

    def answer(self, request: Request) -> Response:
        if request.path == "/ping":
            return Response(204, headers={"X-Influxdb-Version": "v2.7.11"})
        body = json.loads(request.body) if request.body and request.path.startswith("/api/v2/") else {}
        if request.path == "/api/v2/setup":
            return self._setup(request, body)
        if request.headers.get("authorization") not in {f"Token {each['token']}" for each in self.authorizations}:
            return says(401, code="unauthorized", message="unauthorized access")
        if request.method != "GET" and request.path != "/query":
            self.changes.append(f"{request.method} {request.path}")
        if request.path == "/query":
            return says(200, results=[{"statement_id": 0}])
        kind, _, number = request.path.removeprefix("/api/v2/").partition("/")
        handlers = {
            "orgs": self._orgs,
            "buckets": self._buckets,
            "dbrps": self._dbrps,
            "tasks": self._tasks,
            "authorizations": self._authorizations,
        }
        if kind not in handlers:
            return says(404, code="not found", message="path not found")
        return handlers[kind](request, body, number)

    # -- private ------------------------------------------------------------------------------------------------------

    def _setup(self, request: Request, body: dict[str, Any]) -> Response:
        if request.method == "GET":
            return says(200, allowed=not self.is_set_up)
        if self.is_set_up:
            return says(422, code="unprocessable entity", message="onboarding has already been completed")
        assert body["username"]
        assert len(body["password"]) >= 8
        org, rules = self.add_org(body["org"]), [{"type": "expire", "everySeconds": body["retentionPeriodSeconds"]}]
        self.buckets.append(
            {"id": next(self._ids), "orgID": org["id"], "name": body["bucket"], "retentionRules": rules}
        )
        self.authorizations.append({"id": next(self._ids), "token": body["token"], "description": "admin's Token"})
        self.is_set_up = True
        return says(201, org=org, auth=self.authorizations[0])

    def add_org(self, name: str) -> dict[str, Any]:
        self.orgs.append({"id": next(self._ids), "name": name})
        return self.orgs[-1]

    def _orgs(self, _: Request, __: dict[str, Any], ___: str) -> Response:
        return says(200, orgs=self.orgs)

    def _buckets(self, request: Request, body: dict[str, Any], number: str) -> Response:
        if request.method == "GET":
            found = [each for each in self.buckets if each["name"] == request.query["name"]]
            if not found:
                return says(404, code="not found", message=f'bucket "{request.query["name"]}" not found')
            return says(200, buckets=found)
        if request.method == "PATCH":
            (bucket,) = [each for each in self.buckets if each["id"] == number]
            bucket.update(body)
            return _says(200, bucket)
        assert body["orgID"] in {each["id"] for each in self.orgs}
        assert body["name"] not in {each["name"] for each in self.buckets}
        self.buckets.append({"id": next(self._ids), **body})
        return _says(201, self.buckets[-1])

    def _dbrps(self, request: Request, body: dict[str, Any], _: str) -> Response:
        if request.method == "GET":
            explicit = [each for each in self.dbrps if each["database"] == request.query["db"]]
            covered = {each["bucketID"] for each in explicit}
            virtual = [self._virtual(each) for each in self.buckets if each["id"] not in covered]
            mine = [each for each in virtual if each["database"] == request.query["db"]]
            return says(200, content=[*explicit, *mine])
        assert body["bucketID"] in {each["id"] for each in self.buckets}
        self.dbrps.append({"id": next(self._ids), "virtual": False, **body})
        return _says(201, self.dbrps[-1])

    def _virtual(self, bucket: dict[str, Any]) -> dict[str, Any]:
        database, _, policy = str(bucket["name"]).partition("/")
        return {
            "id": bucket["id"],
            "bucketID": bucket["id"],
            "database": database,
            "retention_policy": policy or "autogen",
            "default": not policy,
            "virtual": True,
        }

    def _tasks(self, request: Request, body: dict[str, Any], number: str) -> Response:
        if request.method == "GET":
            return says(200, tasks=[each for each in self.tasks if each["name"] == request.query["name"]])
        if request.method == "PATCH":
            (task,) = [each for each in self.tasks if each["id"] == number]
            task.update(body)
            return _says(200, task)
        name = body["flux"].partition('name: "')[2].partition('"')[0]
        self.tasks.append({"id": next(self._ids), "name": name, **body})
        return _says(201, self.tasks[-1])

    def _authorizations(self, _: Request, body: dict[str, Any], __: str) -> Response:
        known = {each["id"] for each in self.buckets}
        assert all(each["resource"]["id"] in known for each in body["permissions"])
        self.authorizations.append({"id": next(self._ids), "token": f"token-{next(self._ids)}", **body})
        return _says(201, self.authorizations[-1])


class Api3:
    """InfluxDB 3.x; ``asks`` is whether it wants a token."""

    def __init__(self, *, asks: bool = True) -> None:
        self.asks = asks
        self.token = ""
        self.databases: dict[str, str] = {}
        self.changes: list[str] = []

    def answer(self, request: Request) -> Response:
        if request.path == "/ping":
            body = json.dumps({"version": "3.9.2", "revision": "x"}).encode()
            return Response(200, body, {"X-Influxdb-Version": "3.9.2"})
        if request.path == "/api/v3/configure/token/admin" and request.method == "POST":
            if self.token:
                return says(409, error="token name already exists, _admin")
            self.token = "apiv3_test"
            self.changes.append(request.path)
            return says(201, token=self.token, name="_admin", permissions=["*:*:*"])
        if self.asks and (not self.token or request.headers.get("authorization") != f"Token {self.token}"):
            return says(401, error="the request was not authenticated")
        if request.path == "/api/v3/configure/database":
            return self._database(request)
        return says(404, error="not found")

    def _database(self, request: Request) -> Response:
        if request.method == "GET":
            assert request.query["format"] == "json"
            names = [{"iox::database": "_internal"}, *({"iox::database": name} for name in self.databases)]
            return Response(200, json.dumps(names).encode())
        body = json.loads(request.body)
        assert body["db"] not in self.databases
        self.databases[body["db"]] = body["retention_period"]
        self.changes.append(request.path)
        return Response(200)


def _says(status: int, body: dict[str, Any]) -> Response:
    return Response(status, json.dumps(body).encode())
