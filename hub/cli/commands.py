"""``iothub commands`` and ``iothub fleet``: what was sent, and what became of it."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  typer reads the annotations
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from hub.cli.base import options

if TYPE_CHECKING:
    from hub.cli.client import Params

commands_group = typer.Typer(
    help="Commands to nodes: list, show, cancel.", invoke_without_command=True, rich_markup_mode=None
)
fleet_group = typer.Typer(
    help="Commands to many nodes: list, show, stop.", invoke_without_command=True, rich_markup_mode=None
)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the command.")]
_Run = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")]
_OfNode = Annotated[str | None, typer.Option("--node", help="Of this node, where several had a command of that id.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(commands_group, name="commands")
    app.add_typer(fleet_group, name="fleet")


@commands_group.callback()
def commands(context: typer.Context, as_json: _Json = False) -> None:
    """List commands, newest first. `show` tells all about one, `cancel` ends it."""
    if context.invoked_subcommand is None:
        list_commands(context, as_json=as_json)


@commands_group.command("list")
def list_commands(
    context: typer.Context,
    *,
    node: Annotated[str | None, typer.Option(help="Only to this node; may be a glob.")] = None,
    command: Annotated[str | None, typer.Option(help="Only this command, e.g. shell.")] = None,
    state: Annotated[str | None, typer.Option(help="Only in this state, e.g. waiting, failed.")] = None,
    last: Annotated[str | None, typer.Option(metavar="DURATION", help="Only what was sent since, e.g. 2h.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: _Json = False,
) -> None:
    """List commands, whoever sent them, newest first."""
    from itertools import islice

    from hub.api.schemas_commands import Command
    from hub.cli.client import connected
    from hub.cli.output import print_json
    from hub.cli.sendview import print_list
    from hub.cli.timerange import seconds

    since = f"-{seconds('--last', last):g}s" if last else None
    given = {"node": node, "command": command, "state": state, "since": since}
    wanted: Params = {name: value for name, value in given.items() if value} | {"limit": min(limit, 1000)}
    with connected(options(context)) as api:
        found = list(islice(api.items("/commands", Command, wanted), limit))
    if as_json:
        print_json(found)
    elif found:
        print_list(found)
    else:
        print("No such commands. Send one: iothub send NODE ping")


@commands_group.command()
def show(context: typer.Context, command_id: _Id, node: _OfNode = None, as_json: _Json = False) -> None:
    """Show one command: who sent it, its state and times, its result and output."""
    from hub.api.schemas_commands import Command, OutputChunk
    from hub.cli.client import connected
    from hub.cli.output import print_json
    from hub.cli.sendview import Printer, print_command

    with connected(options(context)) as api:
        path = f"/commands/{quote(command_id, safe='')}"
        of: Params = {"node": node} if node else {}
        found = api.get(path, Command, of)
        chunks = list(api.items(f"{path}/output", OutputChunk, of))
    if as_json:
        print_json({**found.model_dump(mode="json"), "output": [each.model_dump(mode="json") for each in chunks]})
        return
    print_command(found)
    printer = Printer(quiet=False)
    for chunk in chunks:
        printer.chunk(chunk)


@commands_group.command()
def cancel(
    context: typer.Context,
    command_id: _Id,
    node: _OfNode = None,
    sign: Annotated[
        Path | None,
        typer.Option(metavar="OPERATOR.key", help="Sign it with this key; some nodes take nothing else."),
    ] = None,
) -> None:
    """Ask the node to end a command."""
    from hub.cli import sending
    from hub.cli.client import connected

    with connected(options(context)) as api:
        asking = sending.cancel(api, command_id, node, sign)
    print(f"Asked {asking.node} to cancel it. What it says: iothub commands show {asking.id}")


@fleet_group.callback()
def fleet(context: typer.Context, as_json: _Json = False) -> None:
    """List runs of commands to many nodes. `show` has the results of one, `stop` begins no further stage."""
    if context.invoked_subcommand is not None:
        return
    from itertools import islice

    from hub.api.schemas_commands import FleetRun
    from hub.cli.client import connected
    from hub.cli.output import local_time, print_json, table

    with connected(options(context)) as api:
        found = list(islice(api.items("/fleet-runs", FleetRun, {"limit": 50}), 50))
    if as_json:
        print_json(found)
    elif not found:
        print("No runs yet. Start one: iothub send 'lab-*' ping")
    else:
        table(
            ("STARTED", "COMMAND", "NODES", "STATE", "DONE", "STAGE", "ID"),
            [
                (
                    local_time(run.requested),
                    run.command,
                    str(run.nodes),
                    run.state,
                    str(run.states.get("done", 0)),
                    f"{run.stage}/{len(run.stages)}",
                    run.id,
                )
                for run in found
            ],
            right=frozenset({2, 4}),
        )


@fleet_group.command("show")
def show_run(context: typer.Context, run: _Run, as_json: _Json = False) -> None:
    """Show what became of a command on each node."""
    from hub.api.schemas_commands import Command, FleetRun
    from hub.cli.client import connected
    from hub.cli.sendview import print_many

    with connected(options(context)) as api:
        found = api.get(f"/fleet-runs/{quote(run, safe='')}", FleetRun)
        print_many(found, list(api.items("/commands", Command, {"run": run})), as_json=as_json)


@fleet_group.command()
def stop(context: typer.Context, run: _Run) -> None:
    """Begin no further stage.

    Nodes that have the command keep it.
    """
    from hub.api.schemas_commands import FleetRun
    from hub.cli.client import connected

    with connected(options(context)) as api:
        found = api.post(f"/fleet-runs/{quote(run, safe='')}/stop", None, FleetRun)
    print(f"Stopped in stage {found.stage} of {len(found.stages)}.")
