"""What all answers have in common: problem documents, headers, health, documentation."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from structlog.testing import capture_logs

from hub.api.app import create_app
from hub.api.headers import SECURITY_HEADERS
from hub.api.parts import Health, HealthLink
from hub.api.schemas import Problem
from hub.config import ApiSettings, Settings
from hub.nodes.database import RegistryError
from hub.store.base import FieldKind, Frame, Series
from hub.store.memory import MemoryStore
from tests.support.api import running_api
from wire.point import SeriesKey

if TYPE_CHECKING:
    from pathlib import Path

    from hub.store.base import Query


class Broken(MemoryStore):
    async def query(self, query: Query) -> Any:
        raise ZeroDivisionError(f"of {query}")


ERRORS = [
    ("GET", "/nowhere", 404),
    ("GET", "/api/v1/nowhere", 404),
    ("GET", "/api/v1/nodes/", 404),
    ("PUT", "/api/v1/nodes", 405),
    ("GET", "/api/v1/nodes?limit=x", 422),
    ("POST", "/api/v1/nodes", 422),
]


def test_every_error_is_a_problem_document_with_the_headers_of_every_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            for method, path, status in ERRORS:
                answer = await api.http.request(method, path)
                assert answer.status_code == status, path
                assert answer.headers["content-type"] == "application/problem+json"
                problem = Problem.model_validate_json(answer.content)
                assert problem.status == status
                assert problem.instance == path.partition("?")[0]
                assert problem.detail not in ("", problem.title)
                for name, value in SECURITY_HEADERS.items():
                    assert answer.headers[name] == value
                assert "server" not in answer.headers

    asyncio.run(scenario())


def test_an_unforeseen_error_tells_the_client_where_to_look_and_the_log_what_happened(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path, store=Broken()) as api:
            with capture_logs() as logs:
                answer = await api.http.get("/api/v1/query")
            assert "ZeroDivision" not in answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["x-content-type-options"] == "nosniff"
            incident = re.search(r"incident ([0-9a-f]{8})", answer.text)
            assert incident is not None
            (line,) = [line for line in logs if line.get("incident") == incident[1]]
            assert line["log_level"] == "error"
            assert line["exc_info"]
            assert (await api.http.get("/health")).status_code == 200

    asyncio.run(scenario())


def test_a_registry_that_fails_is_said_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:

            async def nodes(*_: object, **__: object) -> None:
                raise RegistryError("disk full")

            monkeypatch.setattr(api.parts.registry, "nodes", nodes)
            answer = await api.http.get("/api/v1/nodes")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert "disk full" in answer.json()["detail"]

    asyncio.run(scenario())


def test_a_body_that_is_not_json_says_where(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            headers = {"Content-Type": "application/json"}
            answer = await api.http.post("/api/v1/nodes", content=b'{"node": dev}', headers=headers)
            assert answer.status_code == 422
            assert answer.json()["detail"].startswith("body: no JSON at character 9")

    asyncio.run(scenario())


def test_a_body_that_is_too_large_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            answer = await api.http.post("/api/v1/nodes", json={"node": "x" * (2 << 20)})
            assert answer.status_code == 413
            assert "1 MiB" in answer.json()["detail"]
            assert answer.headers["content-type"] == "application/problem+json"

    asyncio.run(scenario())


def test_unknown_keys_of_a_body_are_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            answer = await api.http.post("/api/v1/nodes", json={"node": "dev", "group": ["a"]})
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["where"] == "body.group"

    asyncio.run(scenario())


def test_other_origins_get_no_permission(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
            for method in ("GET", "OPTIONS"):
                answer = await api.http.request(method, "/api/v1/nodes", headers=headers)
                assert not [name for name in answer.headers if name.startswith("access-control")]

    asyncio.run(scenario())


# -- health ------------------------------------------------------------------------------------------------------------


def test_health_is_terse_without_a_token_and_says_more_with_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            assert (await api.anyone.get("/health")).json() == {
                "status": "ok",
                "broken": [],
                "links": None,
                "version": None,
                "uptime_s": None,
            }
            told = (await api.http.get("/health")).json()
            assert [link["name"] for link in told["links"]] == ["broker", "store"]
            assert told["version"]

    asyncio.run(scenario())


def test_a_broken_link_of_the_chain_makes_503_and_is_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            link = HealthLink("broker", ok=False, detail="no connection to 10.0.0.5")
            api.health.append(Health((link, HealthLink("store", ok=True, detail=""))))
            answer = await api.anyone.get("/health")
            assert (answer.status_code, answer.json()["status"], answer.json()["broken"]) == (503, "broken", ["broker"])
            assert "10.0.0.5" not in answer.text
            assert "10.0.0.5" in (await api.http.get("/health")).text

    asyncio.run(scenario())


# -- documentation -----------------------------------------------------------------------------------------------------


def test_the_documentation_names_every_operation_and_calls_nobody(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            answer = await api.anyone.get("/docs")
            assert answer.headers["content-type"].startswith("text/html")
            page = answer.text
            for path in (await api.anyone.get("/openapi.json")).json()["paths"]:
                assert f"<code>{path}</code>" in page
            assert not re.search(r"<script|<link|<img|@import|url\(|https?://", page)
            assert "style-src 'sha256-" in answer.headers["content-security-policy"]

    asyncio.run(scenario())


def test_the_documentation_can_be_switched_off(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path, settings=Settings(api=ApiSettings(docs=False))) as api:
            for path in ("/docs", "/openapi.json", "/redoc"):
                assert (await api.anyone.get(path)).status_code == 404

    asyncio.run(scenario())


def test_every_operation_is_described_and_declares_problem_documents(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            document = create_app(api.parts).openapi()
            for path, methods in document["paths"].items():
                for method, operation in methods.items():
                    assert operation["description"], (method, path)
                    assert "default" in operation["responses"], (method, path)
            assert "HTTPValidationError" not in document["components"]["schemas"]

    asyncio.run(scenario())


def test_an_answer_that_fails_half_way_is_cut_off_and_not_ended(tmp_path: Path) -> None:
    class HalfBroken(MemoryStore):
        async def query(self, query: Query) -> list[Frame]:
            del query
            series = Series(SeriesKey("dev", "cpu"), "usage", FieldKind.NUMBER, 0, 0)
            times = np.arange(20_000, dtype=np.int64)
            return [Frame(series, times, np.zeros(10, dtype=np.float64))]

    async def scenario() -> None:
        async with running_api(tmp_path, store=HalfBroken()) as api:
            with capture_logs() as logs, pytest.raises(httpx.RemoteProtocolError):
                await api.http.get("/api/v1/query", params={"format": "csv"})
            assert [line["event"] for line in logs] == ["request failed"]
            assert (await api.http.get("/health")).status_code == 200

    asyncio.run(scenario())
