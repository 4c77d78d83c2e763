"""What provisioning makes in an InfluxDB: names, and how long each is kept. Pure.

The names of roll-ups are those of ``hub/store/influx_layout.py``. Everything is kept a little longer than the settings
say: the hub counts retention in whole partitions (``hub/store/partition.py``), and InfluxDB refuses what it would
delete at once, so that a duration cut to the second would refuse what the hub has just accepted.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hub.store.influx_layout import ROLLED_UP, ROLLUPS, bucket_of
from hub.store.influxql import identifier
from hub.store.partition import HOUR_NS, WIDTH_NS, Kind, kept_seconds
from wire.point import LOG_MEASUREMENT, NS_PER_S

if TYPE_CHECKING:
    from hub.config import StoreSettings
    from hub.store.influx_layout import RollUp
    from hub.store.partition import Keep

#: Name of the retention policy that 1.x makes by itself, and that 2.x maps a bucket's own name to.
AUTOGEN: Final = "autogen"
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400
_KIND_OF: Final = {"rollup_1m": Kind.MINUTES, "rollup_1h": Kind.HOURS}
#: How often a roll-up is made, and how far back it is made anew each time, for rows that come late; InfluxQL's words.
_EVERY: Final = {"rollup_1m": ("1m", "15m"), "rollup_1h": ("1h", "6h")}
#: Every measurement but the log. RE2 has no way to say "but".
NOT_THE_LOG: Final = "/^([^l]|l$|l[^o]|lo$|lo[^g]|log.)/"
_DURATION: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


@dataclass(frozen=True, slots=True)
class WantedRollUp:
    """One resolution, and how long it is kept."""

    rollup: RollUp
    keep_s: int

    @property
    def name(self) -> str:
        return self.rollup.name

    @property
    def every(self) -> str:
        """Width of a window, and time between two runs, in InfluxQL and Flux."""
        return _EVERY[self.name][0]

    @property
    def back(self) -> str:
        """How far back each run makes windows anew."""
        return _EVERY[self.name][1]


@dataclass(frozen=True, slots=True)
class Wanted:
    """All of it."""

    #: Database of 1.x and 3.x, bucket of 2.x.
    database: str
    #: Retention policy of samples and logs; empty for the database's default one.
    retention_policy: str
    #: How long samples and logs are kept.
    keep_s: int
    #: Coarsest first.
    rollups: tuple[WantedRollUp, ...]

    def bucket(self, policy: str = "") -> str:
        """Bucket of 2.x that is this retention policy."""
        return bucket_of(self.database, policy)


def wanted(settings: StoreSettings) -> Wanted:
    """What the settings ask for."""
    influx, keep = settings.influx, settings.retention
    samples_s = max(_keep_s(keep, kind) for kind in (Kind.NUMBERS, Kind.TEXTS, Kind.LOGS))
    rollups = tuple(WantedRollUp(rollup, _keep_s(keep, _KIND_OF[rollup.name])) for rollup in ROLLUPS)
    return Wanted(influx.database, influx.retention_policy, samples_s, rollups)


def rolled_up(chosen: Wanted, rollup: WantedRollUp, policy: str, condition: str = "") -> str:
    """The InfluxQL that makes a roll-up of what retention policy ``policy`` holds.

    ``condition``: ``WHERE …``; a continuous query brings its own.
    """
    database = identifier(chosen.database)
    columns = ", ".join(f"{fn}(*)" for fn in ROLLED_UP)
    into = f"{database}.{identifier(rollup.name)}.:MEASUREMENT"
    of = f"{database}.{identifier(policy)}.{NOT_THE_LOG}"
    by = f"GROUP BY time({rollup.every}), *"
    return f"SELECT {columns} INTO {into} FROM {of} {condition}{by}"  # noqa: S608  InfluxQL, and every name is quoted


def continuous_query(chosen: Wanted, rollup: WantedRollUp, policy: str) -> str:
    """The statement that makes the continuous query of a roll-up."""
    return (
        f"CREATE CONTINUOUS QUERY {identifier(rollup.name)} ON {identifier(chosen.database)} "
        f"RESAMPLE EVERY {rollup.every} FOR {rollup.back} BEGIN {rolled_up(chosen, rollup, policy)} END"
    )


def same_statement(one: str, other: str) -> bool:
    """Whether two statements are the same: the server gives them back with other quotes and spaces."""
    return _bare(one) == _bare(other)


def seconds(duration: str) -> int:
    """A duration as 1.x shows it, ``744h0m0s``; 0 is for ever."""
    found = _DURATION.fullmatch(duration)
    if found is None:
        raise ValueError(f"{duration!r} is no duration of InfluxDB")
    hours, minutes, rest = (int(part or 0) for part in found.groups())
    return hours * _HOUR_S + minutes * 60 + rest


def shown(keep_s: int) -> str:
    """A duration for people."""
    if not keep_s:
        return "for ever"
    days, rest = divmod(keep_s, _DAY_S)
    return f"{days} d" if not rest else f"{keep_s / _HOUR_S:g} h"


def _keep_s(keep: Keep, kind: Kind) -> int:
    kept_s = kept_seconds(keep, kind) + WIDTH_NS[kind] / NS_PER_S
    return math.ceil(kept_s * NS_PER_S / HOUR_NS) * _HOUR_S


def _bare(statement: str) -> str:
    return re.sub(r'["\s]', "", statement).rstrip(";")


if LOG_MEASUREMENT != "log":  # NOT_THE_LOG spells it out
    raise AssertionError(LOG_MEASUREMENT)
