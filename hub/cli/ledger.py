"""``iothub ledger``: what became of the messages of each node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from hub.cli.base import CliError, options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.api.schemas_messages import LedgerHour, LedgerRow, LedgerSession

_HEADS: Final = ("RECEIVED", "STORED", "DUPL", "HANDLED", "REFUSED", "MISSING", "LATE", "DROPPED")
_NUMBERS: Final = frozenset(range(1, 1 + len(_HEADS)))
#: What stands for messages whose topic named no node.
_NOBODY: Final = "(no node)"


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(ledger)


def ledger(
    context: typer.Context,
    node: Annotated[str | None, typer.Argument(metavar="NODE", help="Only this node, with its hours.")] = None,
    last: Annotated[
        str, typer.Option(metavar="DURATION", help="How far back the hours of NODE go; they are kept for 90 days.")
    ] = "24h",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what became of every message.

    received = stored + duplicate + handled + refused. Missing are sequence numbers that never came, late are those that
    came after all, dropped those that the node gave up itself.
    """
    if node is None:
        _all(context, as_json=as_json)
    else:
        _one(context, node, last, as_json=as_json)


def _all(context: typer.Context, *, as_json: bool) -> None:
    from hub.api.schemas_messages import LedgerRow
    from hub.cli.client import connected
    from hub.cli.output import print_json, table

    with connected(options(context)) as api:
        found = list(api.items("/ledger", LedgerRow))
    if as_json:
        print_json(found)
        return
    if not found:
        print("No messages yet.")
        return
    rows = [(row.node or _NOBODY, *_numbers(row), _reasons(row.refused)) for row in found]
    table(("NODE", *_HEADS, "REASONS"), rows, right=_NUMBERS)
    _warn(found)


def _one(context: typer.Context, node: str, last: str, *, as_json: bool) -> None:
    from hub.api.schemas import Page
    from hub.api.schemas_messages import LedgerHour, LedgerRow, LedgerSession
    from hub.cli.client import connected
    from hub.cli.nodes import checked
    from hub.cli.output import print_json, zone_name
    from hub.cli.timerange import seconds

    checked(node)
    start = f"-{seconds('--last', last):g}s"
    with connected(options(context)) as api:
        found = list(api.items("/ledger", LedgerRow, {"node": node}))
        sessions = api.get("/ledger/sessions", Page[LedgerSession], {"node": node}).items
        hours = list(api.items("/ledger/hours", LedgerHour, {"node": node, "start": start}))
    if not found:
        raise CliError(f"{node} has sent nothing yet; `iothub ledger` lists those that have")
    if as_json:
        document: dict[str, object] = found[0].model_dump(mode="json")
        document["sessions"] = [each.model_dump(mode="json") for each in sessions]
        document["hours"] = [each.model_dump(mode="json") for each in hours]
        print_json(document)
        return
    _print_totals(found[0])
    _print_sessions(sessions)
    _print_hours(hours, zone_name())
    _warn(found)


def _print_totals(row: LedgerRow) -> None:
    from hub.cli.output import pairs

    refused = sum(row.refused.values())
    values = {
        "node": row.node,
        "received": f"{row.received:,}",
        "stored": f"{row.stored:,}",
        "duplicate": f"{row.duplicate:,}",
        "handled": f"{row.handled:,}  (births, commands, replies)",
        "refused": f"{refused:,}" + (f"  ({_reasons(row.refused)})" if refused else ""),
    }
    if row.values_refused:
        values["single values refused"] = _reasons(row.values_refused)
    numbers = {"missing": row.missing, "late": row.late, "dropped by the node": row.dropped_by_node}
    pairs(values | {name: f"{n:,}" for name, n in numbers.items()} | {"repeats": f"{row.repeats:,}"})


def _print_sessions(sessions: list[LedgerSession]) -> None:
    from hub.cli.output import table

    if not sessions:
        print("\nIt numbers nothing: what it sent and never arrived cannot be known.")
        return
    print()
    table(
        ("SESSION", "NUMBERS", "SEEN", "MISSING", "LATE", "DROPPED", "REPEATS", "COMPLETE UP TO", "GAPS"),
        [
            (
                each.session or "-",
                f"{each.first}-{each.last}" if each.last >= each.first else "none yet",
                *(f"{n:,}" for n in (each.seen, each.missing, each.late, each.dropped, each.repeats)),
                str(each.watermark),
                _gaps(each),
            )
            for each in sessions
        ],
        right=frozenset(range(2, 8)),
    )


def _print_hours(hours: list[LedgerHour], zone: str) -> None:
    from hub.cli.output import local_time, table

    if not hours:
        return
    print()
    rows = [(local_time(hour.start)[:16], *_numbers(hour), _reasons(hour.refused)) for hour in hours]
    table((f"HOUR ({zone})", *_HEADS, "REASONS"), rows, right=_NUMBERS)


def _numbers(row: LedgerRow) -> tuple[str, ...]:
    refused = sum(row.refused.values())
    numbers = (row.received, row.stored, row.duplicate, row.handled, refused)
    return tuple(f"{n:,}" for n in (*numbers, row.missing, row.late, row.dropped_by_node))


def _reasons(refused: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {n:,}" for reason, n in sorted(refused.items(), key=lambda item: (-item[1], item[0])))


def _gaps(session: LedgerSession) -> str:
    shown = ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in session.gaps)
    missing = sum(high - low + 1 for low, high in session.gaps)
    more = session.missing - session.given_up - missing
    text = shown + (", …" if more > 0 else "")
    return text + (f"  ({session.given_up:,} given up: too many gaps)" if session.given_up else "")


def _warn(rows: list[LedgerRow]) -> None:
    """The books must balance; say so where they do not."""
    wrong = [row for row in rows if row.unaccounted]
    if wrong:
        names = ", ".join(row.node or _NOBODY for row in wrong[:5])
        raise CliError(
            f"nobody knows what became of {sum(row.unaccounted for row in wrong):,} messages of {names}: "
            "this is a defect of the hub, please report it"
        )
