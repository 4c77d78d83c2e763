"""What the pipeline needs of a received message; the link's own packets have it."""

from __future__ import annotations

from typing import Protocol


class Incoming(Protocol):
    """A received PUBLISH."""

    @property
    def topic(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def retain(self) -> bool:
        """True when it was stored on the broker before we subscribed."""
        ...
