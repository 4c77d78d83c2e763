"""``iothub join-token``, ``join`` and ``leave``: machines become nodes of this hub, and stop being it."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from hub.cli.base import CliError, options, state_paths
from hub.cli.nodes import checked

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("join-token")(join_token)
    passing = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command(context_settings=passing)(join)
    app.command(context_settings=passing)(leave)


def join_token(
    context: typer.Context,
    *,
    node: Annotated[
        str | None, typer.Option(metavar="NODE", help="Only this node may join, also if it has an account already.")
    ] = None,
    uses: Annotated[int, typer.Option(min=1, max=10_000, help="So many machines may join with it.")] = 1,
    lifetime: Annotated[str, typer.Option(metavar="DURATION", help="It ends after this time.")] = "1h",
    groups: Annotated[list[str] | None, typer.Option("--group", help="Group of those who join; repeatable.")] = None,
    show: Annotated[bool, typer.Option("--list", help="List the tokens that are good; make none.")] = False,
    revoke: Annotated[int | None, typer.Option(metavar="ID", help="End this token; make none.")] = None,
    as_json: _Json = False,
) -> None:
    """Make a token with which a machine joins as a node, and print the line to paste there.

    The token is a secret until it is used or ends. Needs broker.lan.enabled and `iothub tls init`.
    """
    from hub.api.schemas_accounts import JoinToken, JoinTokenInfo, JoinTokenRequest
    from hub.cli.client import connected
    from hub.cli.output import local_time, print_json, table
    from hub.cli.timerange import seconds

    with connected(options(context)) as api:
        if revoke is not None:
            api.delete(f"/join-tokens/{revoke}")
            print(f"Ended join token {revoke}.")
            return
        if show:
            found = list(api.items("/join-tokens", JoinTokenInfo))
            if as_json:
                print_json(found)
                return
            columns = ("ID", "ENDS", "USES LEFT", "NODE", "GROUPS", "MADE BY")
            rows = [
                (str(t.id), local_time(t.expires), str(t.uses_left), t.node or "any new", ", ".join(t.groups), t.by)
                for t in found
            ]
            table(columns, rows)
            return
        wanted = JoinTokenRequest(
            lifetime_s=seconds("--lifetime", lifetime),
            uses=uses,
            node=checked(node) if node is not None else None,
            groups=groups or [],
        )
        made = api.post("/join-tokens", wanted, JoinToken)
    if as_json:
        print_json(made)
        return
    who = f"as {made.node}" if made.node else "as a new node"
    machines = "one machine" if made.uses == 1 else f"{made.uses} machines"
    print(f"Until {local_time(made.expires)} {machines} may join {who}. Paste this there:\n")
    option = f" --node {made.node}" if made.node else ""
    print(f"  echo '{made.token}' | iothub-agent join {made.address}{option} && iothub-agent\n")
    print("The token goes in by the pipe, so that it stands in no list of processes.")


def join(context: typer.Context) -> None:
    """Make this machine a node of a hub; its token is read from standard input.

    The same as iothub-agent join: iothub join HOST:PORT [--node NODE]
    """
    _agent(context, "join")


def leave(context: typer.Context) -> None:
    """Stop being a node: the hub removes the account, this machine what it was given.

    The same as iothub-agent leave.
    """
    _agent(context, "leave")


def _agent(context: typer.Context, command: str) -> None:
    chosen = options(context)
    arguments = [command]
    if chosen.config is not None:
        arguments += ["--config", str(chosen.config.absolute())]
    if chosen.state is not None or os.environ.get("IOTHUB_STATE"):
        arguments += ["--state", str(state_paths(chosen.settings()).agent)]
    sys.stdout.flush()
    try:
        os.execv(sys.executable, [sys.executable, "-m", "agent", *arguments, *context.args])  # noqa: S606  no shell
    except OSError as error:
        raise CliError(f"{sys.executable}: {error.strerror}") from error
