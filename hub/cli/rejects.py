"""``iothub rejects``: list, show, replay and drop refused messages."""

from __future__ import annotations

import base64
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hub.cli.base import USAGE, CliError, options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.cli.client import Api, Params

group = typer.Typer(
    help="Refused messages: list, show, replay, drop.", invoke_without_command=True, rich_markup_mode=None
)

_STATES: Final = ("kept", "replayed", "dropped", "all")
#: Rejects of one request: each is decoded and stored before the answer comes.
_AT_ONCE: Final = 100

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Id = Annotated[int, typer.Argument(metavar="ID", min=0, help="Number of the reject.")]
_Ids = Annotated[list[int] | None, typer.Argument(metavar="ID", min=0, help="Numbers of rejects.")]
_Node = Annotated[str | None, typer.Option(help="Only of this node; may be a glob.")]
_Reason = Annotated[str | None, typer.Option(help="Only for this reason, e.g. not-json.")]
_Topic = Annotated[str | None, typer.Option(help="Only of topics that match this glob.")]
_Last = Annotated[str | None, typer.Option(metavar="DURATION", help="Only what arrived since, e.g. 90s, 5m, 2h, 7d.")]
_Only = Annotated[str, typer.Option(metavar="STATE", help=f"One of {', '.join(_STATES)}.")]
_Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]
_All = Annotated[bool, typer.Option("--all", help="All that are kept.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(group, name="rejects")


@group.callback()
def rejects(context: typer.Context, as_json: _Json = False) -> None:
    """List refused messages. `show` shows one, `replay` stores what can be stored by now, `drop` throws away."""
    if context.invoked_subcommand is None:
        list_rejects(context, as_json=as_json)


@group.command("list")
def list_rejects(
    context: typer.Context,
    *,
    node: _Node = None,
    reason: _Reason = None,
    topic: _Topic = None,
    last: _Last = None,
    only: _Only = "kept",
    limit: _Limit = 50,
    as_json: _Json = False,
) -> None:
    """List refused messages, newest first."""
    from itertools import islice

    from hub.api.schemas_messages import RejectFigures, RejectSummary
    from hub.cli.client import connected
    from hub.cli.output import print_json
    from hub.cli.rejectview import footer, print_list

    if only not in _STATES:
        raise CliError(f"--only {only!r}: is none of {', '.join(_STATES)}", USAGE)
    chosen = _filters(node, reason, topic, last, only)
    with connected(options(context)) as api:
        page: Params = {"limit": min(limit, 1000)}
        found = list(islice(api.items("/rejects", RejectSummary, chosen | page), limit))
        figures = api.get("/rejects/figures", RejectFigures)
    if as_json:
        print_json(found)
        return
    if found:
        print_list(found, with_state=only != "kept")
    print(footer(figures, len(found)))


@group.command()
def show(
    context: typer.Context,
    reject_id: _Id,
    raw: Annotated[bool, typer.Option("--raw", help="Write the bytes as they came, and nothing else.")] = False,
    as_json: _Json = False,
) -> None:
    """Show one refused message with its bytes."""
    from hub.api.schemas_messages import RejectDetail
    from hub.cli.client import connected
    from hub.cli.output import print_json
    from hub.cli.rejectview import print_detail

    if raw and sys.stdout.isatty():
        raise CliError("--raw writes any bytes: send them to a file or a pipe, not to a terminal", USAGE)
    with connected(options(context)) as api:
        found = api.get(f"/rejects/{reject_id}", RejectDetail)
    if raw:
        sys.stdout.buffer.write(base64.b64decode(found.payload))
    elif as_json:
        print_json(found)
    else:
        print_detail(found)


@group.command()
def replay(
    context: typer.Context,
    ids: _Ids = None,
    *,
    node: _Node = None,
    reason: _Reason = None,
    topic: _Topic = None,
    last: _Last = None,
    everything: _All = False,
    as_json: _Json = False,
) -> None:
    """Decode and store refused messages once more.

    They are read by today's decoder and stored at the time they name, or that of their first arrival. Exit code 1 when
    any is refused again.
    """
    from hub.api.schemas_messages import RejectDetail, RejectIds, RejectsReplayed
    from hub.cli.client import connected
    from hub.cli.output import print_json
    from hub.cli.rejectview import SHOWN_REFUSED, print_replayed

    chosen = _filters(node, reason, topic, last, "kept")
    _check_chosen("replay", ids, chosen, everything=everything)
    with connected(options(context)) as api:
        total = RejectsReplayed(replayed=[], refused=[], gone=[])
        for part in _parts(ids or _ids(api, chosen)):
            report = api.post("/rejects/replay", RejectIds(ids=part), RejectsReplayed)
            total.replayed += report.replayed
            total.refused += report.refused
            total.gone += report.gone
        if as_json:
            print_json(total)
        else:
            again = total.refused[:SHOWN_REFUSED]
            print_replayed(total, [api.get(f"/rejects/{each}", RejectDetail) for each in again])
    if total.refused or total.gone:
        raise typer.Exit(1)


@group.command()
def drop(
    context: typer.Context,
    ids: _Ids = None,
    *,
    node: _Node = None,
    reason: _Reason = None,
    topic: _Topic = None,
    last: _Last = None,
    everything: _All = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Throw away the bytes of refused messages.

    That they came, and why they were refused, stays in the list.
    """
    from hub.api.schemas_messages import RejectIds, RejectsDropped
    from hub.cli.client import connected
    from hub.cli.rejectview import counted

    chosen = _filters(node, reason, topic, last, "kept")
    _check_chosen("drop", ids, chosen, everything=everything)
    with connected(options(context)) as api:
        wanted = ids or _ids(api, chosen)
        if not wanted:
            print("No such rejects.")
            return
        if not yes and not typer.confirm(f"Throw away the bytes of {counted(len(wanted))} for good?"):
            raise CliError("nothing was dropped")
        dropped = sum(api.post("/rejects/drop", RejectIds(ids=part), RejectsDropped).dropped for part in _parts(wanted))
    print(f"Dropped {counted(dropped)}.")


# -- private ----------------------------------------------------------------------------------------------------------


def _filters(node: str | None, reason: str | None, topic: str | None, last: str | None, state: str) -> Params:
    from hub.cli.timerange import seconds

    since = f"-{seconds('--last', last):g}s" if last else None
    given = {"node": node, "reason": reason, "topic": topic, "since": since}
    chosen: Params = {name: value for name, value in given.items() if value}
    return chosen if state == "all" else chosen | {"state": state}


def _check_chosen(command: str, ids: list[int] | None, chosen: Params, *, everything: bool) -> None:
    """A slip of the fingers must not mean everything.

    Raises:
        CliError: nothing was chosen, or in two ways; usage.
    """
    filtered = set(chosen) - {"state"}
    if bool(ids) + bool(filtered) + everything > 1:
        raise CliError("choose by numbers, by --node, --reason, --topic and --last, or take --all", USAGE)
    if not (ids or filtered or everything):
        raise CliError(
            f"which ones? For example: iothub rejects {command} 17, --reason too-old or --all "
            "(`iothub rejects` lists them)",
            USAGE,
        )


def _ids(api: Api, chosen: Params) -> list[int]:
    from hub.api.schemas_messages import RejectSummary

    return sorted(reject.id for reject in api.items("/rejects", RejectSummary, chosen))


def _parts(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]
