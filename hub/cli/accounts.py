"""``iothub accounts``: people and programs on the broker: list, add, rotate, rm."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.base import CliError, options
from hub.cli.nodes import checked

if TYPE_CHECKING:
    from hub.api.schemas_accounts import MadeAccount

group = typer.Typer(
    help="Accounts on the broker: people and programs; list, add, rotate, remove.",
    invoke_without_command=True,
    rich_markup_mode=None,
)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the account, and its client id.")]


class Role(enum.StrEnum):
    """What an account may do."""

    OPERATOR = "operator"
    ANALYST = "analyst"


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(group, name="accounts")


@group.callback()
def accounts(context: typer.Context, as_json: _Json = False) -> None:
    """List all accounts on the broker, and add, rotate and remove those of people and programs.

    Accounts of nodes are made by `iothub nodes`.
    """
    if context.invoked_subcommand is not None:
        return
    from hub.api.schemas_accounts import Account
    from hub.cli.client import connected
    from hub.cli.output import print_json, table

    with connected(options(context)) as api:
        found = list(api.items("/accounts", Account))
    if as_json:
        print_json(found)
        return
    table(("NAME", "ROLE", "CLIENT ID"), [(each.name, each.role, each.client_id or "any") for each in found])


@group.command("list")
def list_accounts(context: typer.Context, as_json: _Json = False) -> None:
    """List all accounts; the same as `iothub accounts`."""
    context.invoked_subcommand = None
    accounts(context, as_json)


@group.command()
def add(
    context: typer.Context,
    name: _Name,
    role: Annotated[
        Role, typer.Option(help="operator: commands nodes, reads everything. analyst: reads values, logs and alerts.")
    ],
    as_json: _Json = False,
) -> None:
    """Make an account for a person or program.

    It works on the broker at once; its password is shown this once.
    """
    from hub.api.schemas_accounts import MadeAccount, NewAccount
    from hub.cli.client import connected

    with connected(options(context)) as api:
        made = api.post("/accounts", NewAccount(name=checked(name), role=role.value), MadeAccount)
    _show(made, f"Added account {name}, {role}.", as_json)


@group.command()
def rotate(context: typer.Context, name: _Name, as_json: _Json = False) -> None:
    """Give an account a new password.

    Its connection is cut, the old password refused; the new one is shown this once.
    """
    from hub.api.schemas_accounts import MadeAccount
    from hub.cli.client import connected

    with connected(options(context)) as api:
        made = api.post(f"/accounts/{checked(name)}/credentials", None, MadeAccount)
    _show(made, f"New password for account {name}.", as_json)


@group.command()
def rm(
    context: typer.Context,
    name: _Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove an account; its connection is cut."""
    from hub.cli.client import connected

    checked(name)
    if not yes and not typer.confirm(f"Remove account {name} from the broker?"):
        raise CliError("nothing was removed")
    with connected(options(context)) as api:
        api.delete(f"/accounts/{name}")
    print(f"Removed {name}.")


@group.command()
def denials(context: typer.Context, as_json: _Json = False) -> None:
    """Show who was turned away by the broker, newest first: wrong credentials, wrong client id, no MQTT.

    With broker.record_denied also what an account was refused: topics, subscriptions, wills.
    """
    from hub.api.schemas_accounts import Denial
    from hub.cli.client import connected
    from hub.cli.output import local_time, print_json, table
    from hub.text import printable

    with connected(options(context)) as api:
        found = list(api.items("/denials", Denial))
    if as_json:
        print_json(found)
    elif not found:
        print("Nobody was turned away.")
    else:
        rows = [
            (local_time(d.at), d.kind, printable(d.client) or "-", ", ".join(d.addresses) or "-", printable(d.text))
            for d in found
        ]
        table(("TIME", "WHY", "CLIENT", "FROM", "THE BROKER SAID"), rows)


def _show(made: MadeAccount, head: str, as_json: bool) -> None:
    from hub.cli.output import pairs, print_json

    if as_json:
        print_json(made)
        return
    mqtt, account = made.mqtt, made.credentials
    print(head)
    pairs(
        {
            "broker": f"{mqtt.host}:{mqtt.port}{' (TLS)' if mqtt.tls else ''}, MQTT 5",
            "user name": account.username,
            "password": f"{account.password}   (shown this once)",
            "client id": f"{account.client_id}   (the account works with this one only, thus one connection at a time)",
        }
    )
