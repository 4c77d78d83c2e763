"""Groups for the ledger, and what they add up to."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hub.ledger import Counts, Settled
from hub.ledger.model import HOUR_NS, Sequenced
from wire.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Start of an hour.
T0 = 487_000 * HOUR_NS


def settled(messages: Iterable[tuple[str, str | Reason, Sequenced | None]], arrival_ns: int = T0) -> Settled:
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("received", "stored", "duplicate", "handled")}
    refused: Counter[tuple[str, Reason]] = Counter()
    sequences: list[tuple[str, Sequenced]] = []
    for node, fate, what in messages:
        counts["received"][node] += 1
        if isinstance(fate, Reason):
            refused[node, fate] += 1
        else:
            counts[fate][node] += 1
        if what is not None:
            sequences.append((node, what))
    return Settled(
        arrival_ns=arrival_ns, **counts, refused=refused, values_refused=Counter(refused), sequences=sequences
    )


def stored(node: str, *numbers: Sequenced, arrival_ns: int = T0) -> Settled:
    return settled([(node, "stored", number) for number in numbers], arrival_ns)


def summed(rows: Iterable[Counts]) -> Counter[str]:
    total: Counter[str] = Counter()
    for row in rows:
        for name in ("received", "stored", "duplicate", "handled", "missing", "late", "dropped_by_node", "repeats"):
            total[name] += getattr(row, name)
        for reason, n in row.refused.items():
            total[reason] += n
        for reason, n in row.values_refused.items():
            total["value " + reason] += n
    return total
