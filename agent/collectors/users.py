"""Who is logged in, counted only: names are private."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psutil

from agent.collectors.base import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class UserCollector:
    """``users``: how many are logged in; never who."""

    name = "users"
    interval_s = 60.0

    def __init__(self, read: Callable[[], Sequence[Any]] = psutil.users) -> None:
        self._read = read

    def collect(self, now_s: float) -> list[Sample]:  # noqa: ARG002  no rates here
        sessions = self._read()
        return [Sample("users", {"sessions": len(sessions), "users": len({session.name for session in sessions})})]
