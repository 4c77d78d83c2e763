"""The dead-letter store: refused messages with their bytes, kept on disk within bounds, to be looked at and replayed.

    model    a refused message as the pipeline hands it over, and as it is kept
    tables   the SQL
    store    keep, list, show, replay, drop

kept ──replay──▶ replayed     today's decoder took all of it; the bytes stay until the bound needs their space
  │ └──replay──▶ kept         it still refuses, perhaps for another reason, which stands there from then on
  └────drop────▶ dropped      a person says that nobody needs it; the bytes are gone, the rest stays for the record

When the bounds are reached, the oldest of those that are done with (replayed, dropped) go first, then the oldest that
are kept; the latter are counted as evicted.
"""

from hub.rejects.model import KeptReject, Reject, RejectFilter, RejectState, RejectStats, ReplayOutcome, ReplayReport
from hub.rejects.store import Rejects

__all__ = [
    "KeptReject",
    "Reject",
    "RejectFilter",
    "RejectState",
    "RejectStats",
    "Rejects",
    "ReplayOutcome",
    "ReplayReport",
]
