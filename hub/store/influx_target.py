"""Where in a server the hub writes, and how the server is spoken to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hub.store.influx_http import Access
    from hub.store.influx_server import Generation


@dataclass(frozen=True, slots=True)
class Target:
    """Where in a server, and how the server is spoken to."""

    access: Access
    #: Database of 1.x and 3.x, bucket of 2.x.
    database: str
    #: Of 2.x, name or id.
    org: str = ""
    #: Empty for the database's default one.
    retention_policy: str = ""
    #: None: found by asking.
    generation: Generation | None = None
    #: Whether the hub makes all roll-ups, or what comes too late for the server's own; None: on 3.x.
    hub_rolls_up: bool | None = None

    @property
    def name(self) -> str:
        """One that no other place has."""
        return f"{self.access.url} {self.database} {self.retention_policy}".rstrip()
