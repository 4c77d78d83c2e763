"""Names in InfluxDB that the hub, its provisioning and its dashboards agree on: nothing else spells them.

Samples are in the database's default retention policy, or the one set: measurement, tag ``node``, payload tags, fields.
Roll-ups have the same measurements and tags, in a retention policy each (1.x), a bucket each (2.x), a database each
(3.x), and a field for each aggregate of each number: ``mean_usage``, ``max_usage``, … as ``SELECT mean(*)`` names them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hub.store.base import Fn
from hub.store.partition import HOUR_NS, MINUTE_NS


@dataclass(frozen=True, slots=True)
class RollUp:
    """One resolution of rolled up samples."""

    #: Retention policy; as a bucket or database of its own it is ``database/name``.
    name: str
    width_ns: int


#: Coarsest first.
ROLLUPS: Final = (RollUp("rollup_1h", HOUR_NS), RollUp("rollup_1m", MINUTE_NS))

#: The aggregates that a roll-up has of each number.
ROLLED_UP: Final = (Fn.COUNT, Fn.SUM, Fn.MIN, Fn.MAX, Fn.FIRST, Fn.LAST, Fn.MEAN)

#: Log records are measurement ``log``: tags node, level and source, and these fields, all of them text.
LOG_MESSAGE: Final = "message"
#: All further fields of a record as one JSON object: fields of sources that know nothing of each other share no type.
LOG_FIELDS: Final = "fields"
#: True time in ns, of records written a few ns later because another record of the source has that time.
LOG_TIME: Final = "at"
#: How much later at most.
LOG_SHIFT_NS: Final = 100_000


def rolled_up_field(fn: Fn, field: str) -> str:
    """The field of a roll-up that holds ``fn`` of ``field``."""
    return f"{fn}_{field}"


def bucket_of(database: str, retention_policy: str) -> str:
    """The bucket (2.x), or the database of 3.x, that InfluxDB maps to this database and retention policy."""
    return f"{database}/{retention_policy}" if retention_policy else database
