"""Every changing route of the OpenAPI document against every role and scope: a new one without a check fails here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from hub.nodes.callers import Role, Scope
from tests.support.api import running_api
from tests.support.planted import paths

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import Api

OPEN = {("POST", "/api/v1/token"), ("POST", "/api/v1/token/oidc")}
#: What users may do for themselves, whatever their role.
OWN = {
    ("DELETE", "/api/v1/token"),
    ("POST", "/api/v1/tokens"),
    ("DELETE", "/api/v1/tokens/{number}"),
    ("PUT", "/api/v1/password"),
    ("POST", "/api/v1/views"),
    ("DELETE", "/api/v1/views/{number}"),
    # These change nothing.
    ("POST", "/api/v1/rules/test"),
    ("POST", "/api/v1/rules/check"),
}
#: What operators may do, of the nodes that they see.
OPERATING = {
    ("POST", "/api/v1/nodes/{node}/commands/{command}"),
    ("POST", "/api/v1/commands"),
    ("POST", "/api/v1/commands/{command_id}/cancel"),
    ("POST", "/api/v1/fleet-runs/{run_id}/stop"),
    ("POST", "/api/v1/alerts/{alert_id}/ack"),
    ("POST", "/api/v1/alerts/{alert_id}/assign"),
    ("POST", "/api/v1/alerts/{alert_id}/comment"),
    ("POST", "/api/v1/silences"),
    ("DELETE", "/api/v1/silences/{number}"),
    ("POST", "/api/v1/rejects/replay"),
    ("POST", "/api/v1/rejects/{reject_id}/replay"),
}
#: What administrators alone may read.
AUDITING = {
    "/api/v1/users",
    "/api/v1/accounts",
    "/api/v1/denials",
    "/api/v1/join-tokens",
    "/api/v1/audit",
    "/api/v1/audit/head",
    "/api/v1/audit/logins",
}


@pytest.mark.parametrize(
    ("role", "scope", "operates"),
    [
        (Role.VIEWER, Scope.FULL, False),
        (Role.OPERATOR, Scope.READ, False),
        (Role.ADMIN, Scope.READ, False),
        (Role.OPERATOR, Scope.FULL, True),
        (Role.ADMIN, Scope.OPERATE, True),
    ],
)
def test_no_role_and_no_scope_escalates_on_any_changing_route(
    tmp_path: Path, role: Role, scope: Scope, *, operates: bool
) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await api.parts.registry.declare("dev")
            headers = await api.token_of(role, scope)
            refused, open_to = 0, OWN | (OPERATING if operates else set())
            for method, template, path in paths(await document(api), node="dev", number="1"):
                if method == "GET" or (method, template) in OWN | OPEN:
                    continue
                answer = await api.anyone.request(method, path, headers=headers)
                if (method, template) in open_to:
                    assert answer.status_code != 403, f"{method} {path}: {answer.text}"
                else:
                    assert answer.status_code == 403, f"{method} {path}: {answer.status_code} {answer.text}"
                    refused += 1
            assert refused >= 15
            assert await api.parts.registry.node("dev") is not None

    asyncio.run(scenario())


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_users_logins_and_the_journal_are_read_by_administrators_alone(tmp_path: Path, role: Role) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            headers = await api.token_of(role)
            found = {t for _, t, _ in paths(await document(api), node="dev", number="1")}
            assert found >= AUDITING
            for path in AUDITING:
                assert (await api.anyone.get(path, headers=headers)).status_code == 403, path

    asyncio.run(scenario())


async def document(api: Api) -> dict[str, Any]:
    found: dict[str, Any] = (await api.anyone.get("/openapi.json")).json()
    return found
