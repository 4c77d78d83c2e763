"""What pages read page by page can be read so: the API takes ``limit`` for each list that one of them names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

import dashboard.views

if TYPE_CHECKING:
    from tests.support.apps import Served

_NAMED = re.compile(r'\bitems\(\s*f?"(/[^"?]*)"')
_SOURCES = Path(dashboard.views.__file__).parent.glob("*.py")
LISTS = sorted({path for source in _SOURCES for path in _NAMED.findall(source.read_text(encoding="utf-8"))})


@pytest.fixture(scope="module")
def lists_of_the_api(api: Served) -> set[str]:
    """Paths of GET that take ``limit``, each parameter as ``{}``."""
    described = httpx.get(f"{api.url}/openapi.json", timeout=60).json()["paths"]
    return {
        re.sub(r"\{[^}]*\}", "{}", path.removeprefix("/api/v1"))
        for path, methods in described.items()
        if "limit" in {one.get("name") for one in methods.get("get", {}).get("parameters", ())}
    }


def test_the_pages_name_lists() -> None:
    assert {"/nodes", "/alerts", "/commands/{number}/output"} <= set(LISTS)


@pytest.mark.parametrize("path", LISTS)
def test_a_list_that_a_page_reads_can_be_read_page_by_page(path: str, lists_of_the_api: set[str]) -> None:
    assert re.sub(r"\{[^}]*\}", "{}", path) in lists_of_the_api
