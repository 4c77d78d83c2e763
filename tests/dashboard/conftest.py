"""A real API with something in it, and who looks at the pages before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.apps import Served, drawing, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("api")) as served:
        yield served


@pytest.fixture
def as_admin(api: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with drawing(monkeypatch, api.url, api.tokens["admin"]):
        yield


@pytest.fixture
def as_operator(api: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with drawing(monkeypatch, api.url, api.tokens["operator"]):
        yield


@pytest.fixture
def as_viewer(api: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with drawing(monkeypatch, api.url, api.tokens["viewer"]):
        yield
