"""What a check of ``iothub doctor`` found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

OK: Final = "ok"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """Outcome of one check."""

    name: str
    verdict: str
    #: What is seen, and for a failure what to do.
    text: str
