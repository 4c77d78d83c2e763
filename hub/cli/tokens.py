"""``iothub tokens``: API tokens and sessions: list, add, rm; ``iothub nodes groups``."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from hub.cli import nodes
from hub.cli.base import USAGE, CliError, options
from hub.cli.nodes import checked

group = typer.Typer(help="API tokens and sessions: list, add, rm.", invoke_without_command=True, rich_markup_mode=None)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Scope(enum.StrEnum):
    """What a token may do."""

    READ = "read"
    OPERATE = "operate"
    FULL = "full"


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(group, name="tokens")
    nodes.group.command("groups")(node_groups)


@group.callback()
def tokens(context: typer.Context, as_json: _Json = False) -> None:
    """List the tokens and sessions of all users; `add` and `rm` make and end them."""
    if context.invoked_subcommand is not None:
        return
    from hub.api.schemas_users import ApiToken
    from hub.cli.client import connected
    from hub.cli.output import local_time, print_json, table
    from hub.text import printable

    with connected(options(context)) as api:
        found = list(api.items("/tokens", ApiToken))
    if as_json:
        print_json(found)
        return
    rows = [
        (
            str(each.id),
            each.user,
            each.kind,
            each.scope,
            printable(each.name) + (f" from {each.address}" if each.address else ""),
            local_time(each.created),
            local_time(each.expires) if each.expires else "never",
        )
        for each in found
    ]
    table(("ID", "USER", "KIND", "SCOPE", "WHAT FOR", "MADE", "ENDS"), rows, right=frozenset({0}))


@group.command("list")
def list_tokens(context: typer.Context, as_json: _Json = False) -> None:
    """List tokens and sessions; the same as `iothub tokens`."""
    context.invoked_subcommand = None
    tokens(context, as_json)


@group.command()
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="WHAT", help="What it is for.")],
    *,
    user: Annotated[str, typer.Option(help="Whose it is: it may what the user may, at most.")],
    scope: Annotated[
        Scope, typer.Option(help="read: reads. operate: also commands and alerts. full: all that the user may.")
    ] = Scope.READ,
    lifetime: Annotated[str, typer.Option(metavar="DURATION", help="Until it ends; at most 366d.")] = "90d",
    as_json: _Json = False,
) -> None:
    """Make a token for a program; it is shown this once."""
    from hub.api.schemas_users import MadeApiToken
    from hub.cli.client import connected
    from hub.cli.output import local_time, pairs, print_json
    from wire.settings import parse_duration

    try:
        lifetime_s = parse_duration(lifetime)
    except ValueError as error:
        raise CliError(f"--lifetime {lifetime!r}: {error}", USAGE) from error
    body = {"name": name, "user": checked(user), "scope": scope.value, "lifetime_s": lifetime_s}
    with connected(options(context)) as api:
        made = api.post("/tokens", body, MadeApiToken)
    if as_json:
        print_json(made)
        return
    pairs(
        {
            "token": f"{made.token}   (shown this once)",
            "user": f"{made.user}, scope {made.scope}",
            "ends": local_time(made.expires) if made.expires else "never",
        }
    )


@group.command()
def rm(context: typer.Context, number: Annotated[int, typer.Argument(metavar="ID", min=0)]) -> None:
    """End a token or session at once; `iothub tokens` shows the ids."""
    from hub.cli.client import connected

    with connected(options(context)) as api:
        api.delete(f"/tokens/{number}")
    print(f"Token {number} has ended.")


def node_groups(
    context: typer.Context,
    node: Annotated[str, typer.Argument(metavar="NODE", help="Node id.")],
    names: Annotated[str | None, typer.Argument(metavar="[A,B]", help="Its groups; shown when left out.")] = None,
    *,
    none: Annotated[bool, typer.Option("--none", help="Take it out of all groups.")] = False,
) -> None:
    """Show the groups of a node, or put it into these and no others.

    Groups say which rules hold for a node, and which users see it.
    """
    from hub.api.schemas import Node, NodeDetail
    from hub.cli.client import connected

    if names is not None and none:
        raise CliError("give groups or --none, not both", USAGE)
    path = f"/nodes/{checked(node)}"
    with connected(options(context)) as api:
        if names is None and not none:
            found: Node = api.get(path, NodeDetail)
        else:
            wanted = [] if names is None else [name.strip() for name in names.split(",") if name.strip()]
            found = api.put(f"{path}/groups", {"groups": wanted}, Node)
    print(", ".join(found.groups) or f"{node} is in no group.")
