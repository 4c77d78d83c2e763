"""``iothub send``: a command to one node or many, its output as it comes, its exit code."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  typer reads the annotations
from typing import Annotated

import typer

from hub.cli.base import USAGE, CliError, options


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(no_args_is_help=True)(send)


def send(
    context: typer.Context,
    node: Annotated[str, typer.Argument(metavar="NODE", help="Node id; a glob, group:NAME, or several with commas.")],
    command: Annotated[str, typer.Argument(metavar="COMMAND", help="What to do, e.g. ping.")],
    args: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VALUE]…", help="Arguments; values as JSON, or else as text.")
    ] = None,
    *,
    timeout: Annotated[
        str | None, typer.Option(metavar="DURATION", help="How long it may run; default: what the node says.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="DURATION", help="How long it may wait for the node, e.g. 1h.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Print its id and do not wait for its end.")] = False,
    sign: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Sign it with this key; see `iothub operator keygen`.")
    ] = None,
    stages: Annotated[
        str | None, typer.Option(metavar="LIST", help="How many nodes at first, then, …: 1,10%,all")
    ] = None,
    stop_after: Annotated[
        int | None, typer.Option("--stop-after-failures", min=1, help="No further stage when so many failed.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON at the end, and nothing before.")] = False,
) -> None:
    """Send a command to a node, and show what it says.

    The exit code is the command's own; 1 when it was not done. Ctrl-C cancels it. A node that is off gets it when it is
    back, if --expires says how long that may take.

    Several nodes: iothub send 'lab-*' ping, group:lab, a,b. One table at the end; exit code 0 when all are done.
    """
    from hub.cli.sending import Order, arguments, send_many, send_one
    from hub.cli.timerange import seconds
    from hub.commands.stages import is_several, split

    order = Order(
        command=command,
        args=arguments(args or []),
        timeout_s=seconds("--timeout", timeout) if timeout else None,
        expires_s=seconds("--expires", expires) if expires else None,
        detach=detach,
        key=sign,
        as_json=as_json,
    )
    if is_several(node):
        code = send_many(options(context), split(node), order, stages=split(stages or ""), stop_after=stop_after)
    elif stages or stop_after:
        raise CliError(f"--stages and --stop-after-failures are for several nodes, {node!r} is one", USAGE)
    else:
        code = send_one(options(context), node, order)
    raise typer.Exit(code)
