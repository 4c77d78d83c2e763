"""``api.metrics_token_file``: what a Prometheus on another machine shows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hub.config import Settings
from tests.support.api import bearer, running_api

if TYPE_CHECKING:
    from pathlib import Path


def test_a_token_of_its_own_opens_metrics_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "metrics-token"
    settings = Settings.model_validate({"api": {"metrics_token_file": file}})
    other = {"Host": "hub:8080"}

    async def scenario() -> None:
        async with running_api(tmp_path, settings=settings) as api:
            assert (await api.anyone.get("/metrics", headers=other | bearer("t1"))).status_code == 503
            file.write_text("t1\n")
            assert (await api.anyone.get("/metrics", headers=other | bearer("t1"))).status_code == 200
            for wrong in ({}, bearer("t2"), {"Authorization": "Bearer"}):
                assert (await api.anyone.get("/metrics", headers=other | wrong)).status_code == 401
            assert (await api.anyone.get("/api/v1/nodes", headers=bearer("t1"))).status_code == 401
            file.write_text("\n")
            assert (await api.anyone.get("/metrics", headers=other | {"Authorization": "Bearer"})).status_code == 401

    asyncio.run(scenario())
