"""The ledger as rows and as one sentence: received = stored + refused + duplicate + handled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

Document = dict[str, Any]
_COUNTS = ("received", "stored", "duplicate", "handled", "missing", "late", "dropped_by_node", "unaccounted")


def rows(found: Iterable[Document]) -> list[Document]:
    """A row a node (or a node and hour)."""
    return [
        {
            **({"Hour": one["start"][:16].replace("T", " ")} if "start" in one else {}),
            "Node": one["node"] or "(no node)",
            "Received": one["received"],
            "Stored": one["stored"],
            "Refused": sum(one["refused"].values()),
            "Why": ", ".join(f"{reason}: {n}" for reason, n in sorted(one["refused"].items())),
            "Duplicate": one["duplicate"],
            "Handled": one["handled"],
            "Missing": one["missing"],
            "Late": one["late"],
            "Dropped by node": one["dropped_by_node"],
            "Unaccounted": one["unaccounted"],
        }
        for one in found
    ]


def session(one: Document) -> Document:
    """A row about the sequence numbers of one session; its gaps are many."""
    return {name.replace("_", " ").capitalize(): value for name, value in one.items() if name != "gaps"}


def totals(found: Iterable[Document]) -> dict[str, int]:
    """Sums over all rows; ``refused`` over all reasons."""
    sums = dict.fromkeys((*_COUNTS, "refused"), 0)
    for one in found:
        for name in _COUNTS:
            sums[name] += one[name]
        sums["refused"] += sum(one["refused"].values())
    return sums


def balances(sums: dict[str, int]) -> bool:
    """Whether every message is accounted for."""
    return (
        sums["unaccounted"] == 0
        and sums["received"] == sums["stored"] + sums["refused"] + sums["duplicate"] + sums["handled"]
    )
