"""The HTTP API with a rule book, for tests of rules over HTTP and by command."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from hub.rules.book import RuleBook
from tests.support.api import running_api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.api import Api


@contextlib.asynccontextmanager
async def with_rules(folder: Path) -> AsyncIterator[tuple[Api, RuleBook]]:
    """An API whose rules stand in ``rules.toml`` of the folder."""
    book = RuleBook(folder / "rules.toml")
    async with running_api(folder) as api:
        # The routes ask of the composition for its rules only.
        alerting: Any = SimpleNamespace(rules=book)
        api.app.state.parts = replace(api.parts, alerting=alerting)
        yield api, book
