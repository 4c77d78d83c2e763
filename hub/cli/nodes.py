"""``iothub nodes``: list, show, add, rotate, rm."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.base import CliError, options

if TYPE_CHECKING:
    from hub.api.schemas import DeclaredNode, NodeDetail

group = typer.Typer(
    help="List nodes; show, add, rotate, remove one.", invoke_without_command=True, rich_markup_mode=None
)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Node = Annotated[str, typer.Argument(metavar="NODE", help="Node id.")]
_CONNECTIONS_SHOWN = 5


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(group, name="nodes")


@group.callback()
def nodes(context: typer.Context, as_json: _Json = False) -> None:
    """List all nodes: state, since when, last seen. `iothub nodes show NODE` tells more about one."""
    if context.invoked_subcommand is not None:
        return
    from hub.api.schemas import Node
    from hub.cli.client import connected
    from hub.cli.output import ago, print_json, table

    with connected(options(context)) as api:
        found = list(api.items("/nodes", Node))
    if as_json:
        print_json(found)
        return
    if not found:
        print("No nodes yet. Add one: iothub nodes add NODE")
        return
    table(
        ("NODE", "STATE", "SINCE", "LAST SEEN", "DECLARED", "VERSION", "REASON"),
        [
            (
                node.node,
                node.contact,
                ago(node.since) if node.since else "-",
                ago(node.last_seen),
                "yes" if node.standing == "declared" else "new",
                node.version or "-",
                node.reason or "",
            )
            for node in found
        ],
    )


@group.command("list")
def list_nodes(context: typer.Context, as_json: _Json = False) -> None:
    """List all nodes; the same as `iothub nodes`."""
    context.invoked_subcommand = None
    nodes(context, as_json)


@group.command()
def show(context: typer.Context, node: _Node, as_json: _Json = False) -> None:
    """Show one node.

    State, inventory, newest values and the last connections.
    """
    from hub.api.schemas import Connection, NodeDetail
    from hub.cli.client import connected
    from hub.cli.output import print_json

    with connected(options(context)) as api:
        detail = api.get(f"/nodes/{checked(node)}", NodeDetail)
        if as_json:
            print_json(detail)
            return
        connections = []
        for connection in api.items(f"/nodes/{node}/connections", Connection):
            connections.append(connection)
            if len(connections) == _CONNECTIONS_SHOWN:
                break
    _print_head(detail)
    _print_values(detail)
    _print_connections(connections)


@group.command()
def add(
    context: typer.Context,
    node: _Node,
    *,
    groups: Annotated[list[str] | None, typer.Option("--group", help="Put it into this group; repeatable.")] = None,
    gateway: Annotated[bool, typer.Option("--gateway", help="It is a gateway: others are reached via it.")] = False,
    via: Annotated[
        str | None, typer.Option("--via", metavar="GATEWAY", help="No account: this gateway speaks for it.")
    ] = None,
    new_password: Annotated[
        bool, typer.Option("--new-password", help="It is there already: give its account a new password.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Declare a node and make its account.

    The account works on the broker at once; its password is shown this once.
    """
    from hub.api.schemas import DeclaredNode, NodeDeclaration
    from hub.cli.client import Refused, connected
    from hub.cli.output import print_json

    checked(node)
    with connected(options(context)) as api:
        try:
            if new_password:
                declared = api.post(f"/nodes/{node}/credentials", None, DeclaredNode)
            else:
                via = checked(via) if via else None
                wanted = NodeDeclaration(node=node, groups=groups or [], gateway=gateway, via=via)
                declared = api.post("/nodes", wanted, DeclaredNode)
        except Refused as error:
            if error.kind != "node-exists":
                raise
            raise CliError(
                f"node {node} is declared already. A new password for it: iothub nodes rotate {node}"
            ) from error
    if as_json:
        print_json(declared)
    elif via:
        print(f"Added node {node}: gateway {via} may speak for it from now on.")
    else:
        _print_declared(declared)


@group.command()
def rotate(context: typer.Context, node: _Node, as_json: _Json = False) -> None:
    """Give the account of a node a new password.

    It works at once and is shown this once; the connection of the node is cut, the old password refused.
    """
    from hub.api.schemas import DeclaredNode
    from hub.cli.client import connected
    from hub.cli.output import print_json

    with connected(options(context)) as api:
        declared = api.post(f"/nodes/{checked(node)}/credentials", None, DeclaredNode)
    if as_json:
        print_json(declared)
    else:
        _print_declared(declared, "New password for")


@group.command()
def rm(
    context: typer.Context,
    node: _Node,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a node and its account.

    What it sent stays in the store.
    """
    from hub.cli.client import connected

    checked(node)
    if not yes and not typer.confirm(f"Remove node {node} and its account on the broker?"):
        raise CliError("nothing was removed")
    with connected(options(context)) as api:
        api.delete(f"/nodes/{node}")
    print(f"Removed {node}. What it sent stays in the store until its retention ends.")


def checked(node: str) -> str:
    """``node`` when it is one, so that it can stand in a path.

    Raises:
        CliError: it is outside the grammar of node ids.
    """
    from hub.cli.base import USAGE
    from wire.errors import TopicError
    from wire.topics import check_node_id

    try:
        return check_node_id(node)
    except TopicError as error:
        raise CliError(error.detail, USAGE) from error


def _print_head(detail: NodeDetail) -> None:
    from hub.cli.output import ago, local_time, paint, pairs
    from hub.text import printable

    seen = f"{local_time(detail.last_seen)}  ({ago(detail.last_seen)})" if detail.last_seen else "never"
    state = paint(detail.contact)
    if detail.since:
        state += f" since {local_time(detail.since)}  ({ago(detail.since)})"
    values = {
        "node": detail.node,
        "state": state + (f", {printable(detail.reason)}" if detail.reason else ""),
        "last seen": seen,
        "declared": "yes"
        if detail.standing == "declared"
        else f"no: appeared by itself (`iothub nodes add {detail.node}`)",
        "version": printable(detail.version or "-"),
        "outbox": "yes: keeps messages until they are stored" if detail.outbox else "no",
    }
    if detail.clock_offset_s is not None:
        side = "ahead of" if detail.clock_offset_s > 0 else "behind"
        values["clock"] = f"about {abs(detail.clock_offset_s):.1f} s {side} the hub's, travel time included"
    if detail.groups:
        values["groups"] = ", ".join(map(printable, detail.groups))
    pairs(
        values
        | {printable(name.removesuffix("_bytes")): printable(_text(name, value)) for name, value in detail.info.items()}
    )


def _print_values(detail: NodeDetail) -> None:
    from hub.cli.output import ago, table, tags_text, value_text

    if not detail.publishes:
        print("\nIt has sent no values yet.")
        return
    print()
    table(
        ("SERIES", "VALUE", "AGE", "TAGS"),
        [
            (f"{each.measurement}.{each.field}", value_text(each.value), ago(each.last), tags_text(each.tags))
            for each in detail.publishes
        ],
        right=frozenset({1}),
    )
    if detail.series_total > len(detail.publishes):
        print(f"… and {detail.series_total - len(detail.publishes)} more series")


def _print_connections(connections: list[Any]) -> None:
    from hub.cli.output import duration, local_time, table

    if not connections:
        return
    print()
    table(
        ("CONNECTED", "UNTIL", "FOR", "WHY IT ENDED"),
        [
            (
                local_time(each.connected_at),
                local_time(each.disconnected_at) if each.disconnected_at else "now",
                duration(each.duration_s) if each.duration_s is not None else "-",
                each.reason_disconnected or "-",
            )
            for each in connections
        ],
    )


def _print_declared(declared: DeclaredNode, what: str = "Added") -> None:
    from hub.cli.output import pairs

    mqtt = declared.mqtt
    account = declared.credentials
    print(f"{what} node {declared.node}.")
    values = {"broker": f"{mqtt.host}:{mqtt.port}{' (TLS)' if mqtt.tls else ''}, MQTT 5"}
    if account is not None:
        values |= {
            "user name": account.username,
            "password": f"{account.password}   (shown this once)",
            "client id": f"{account.client_id}   (the account works with this one only)",
        }
    pairs(values)
    if account is None:
        print("The hub does not manage the accounts of this broker: make one for the node there.")
        login = ""
    else:
        login = f" -i {account.client_id} -u {account.username} -P '{account.password}'"
    topic = f"{mqtt.root}/{declared.node}/telemetry/room"
    print(
        f"Try it:\n  mosquitto_pub -V 5 -h {mqtt.host} -p {mqtt.port}{login} -t {topic} -m '{{\"temperature\": 21.5}}'"
    )
    print(f"  iothub query 'room.*' --node {declared.node}")


def _text(name: str, value: object) -> str:
    """A fact from the birth message."""
    from hub.cli.units import size

    if name.endswith("_bytes") and isinstance(value, int | float):
        return size(value)
    if name == "commands" and isinstance(value, list):  # those the node allows; the API has their arguments
        return ", ".join(str(each.get("name")) for each in value if isinstance(each, dict) and each.get("allowed"))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
