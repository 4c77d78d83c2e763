"""Looking into what collectors give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.collectors.base import Sample


def values(samples: list[Sample], measurement: str, **tags: str) -> dict[str, Any]:
    """The values of the one sample of this measurement with exactly these tags."""
    (found,) = [s for s in samples if s.measurement == measurement and s.tags == tags]
    return dict(found.values)
