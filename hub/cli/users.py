"""``iothub users``: who may use the API and the dashboard: list, add, rm, passwd, role, groups, logout, logins."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.base import USAGE, CliError, options
from hub.cli.nodes import checked

if TYPE_CHECKING:
    from hub.api.schemas_users import User

group = typer.Typer(
    help="Users of the API and the dashboard: list, add, rm, passwd, role, groups, logout, logins.",
    invoke_without_command=True,
    rich_markup_mode=None,
)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the user.")]
_LEAST = 10


class Role(enum.StrEnum):
    """What a user may do."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


_ROLES = "viewer: reads. operator: also commands nodes and handles alerts. admin: everything."


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(group, name="users")


@group.callback()
def users(context: typer.Context, as_json: _Json = False) -> None:
    """List users, and add, change and remove them. Accounts on the broker are others: `iothub accounts`."""
    if context.invoked_subcommand is not None:
        return
    from hub.api.schemas_users import User
    from hub.cli.client import connected
    from hub.cli.output import ago, print_json, table

    with connected(options(context)) as api:
        found = list(api.items("/users", User))
    if as_json:
        print_json(found)
        return
    table(
        ("NAME", "ROLE", "SEES", "TOKENS", "LAST LOGIN"),
        [
            (each.name, each.role, _sees(each), str(each.tokens), ago(each.last_login) if each.last_login else "never")
            for each in found
        ],
        right=frozenset({3}),
    )


@group.command("list")
def list_users(context: typer.Context, as_json: _Json = False) -> None:
    """List all users; the same as `iothub users`."""
    context.invoked_subcommand = None
    users(context, as_json)


@group.command()
def add(
    context: typer.Context,
    name: _Name,
    *,
    role: Annotated[Role, typer.Option(help=_ROLES)],
    groups: Annotated[
        str | None, typer.Option(metavar="A,B", help="It sees the nodes of these groups only; all when left out.")
    ] = None,
    ask: Annotated[bool, typer.Option("--password", help="Ask for the password instead of making one.")] = False,
    as_json: _Json = False,
) -> None:
    """Make a user. Its password is made up and shown this once, or asked for with --password."""
    from hub.api.schemas_users import MadeUser
    from hub.cli.client import connected
    from hub.cli.output import pairs, print_json

    body = {"name": checked(name), "role": role.value, "groups": _listed(groups)}
    if ask:
        body["password"] = _asked()
    with connected(options(context)) as api:
        made = api.post("/users", body, MadeUser)
    if as_json:
        print_json(made)
        return
    print(f"Added user {name}, {role}.")
    shown = {"sees": _sees(made)}
    if made.password is not None:
        shown = {"password": f"{made.password}   (shown this once)", **shown}
    pairs(shown)


@group.command()
def rm(
    context: typer.Context,
    name: _Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a user; its sessions and tokens end."""
    from hub.cli.client import connected

    checked(name)
    if not yes and not typer.confirm(f"Remove user {name}, with all sessions and tokens?"):
        raise CliError("nothing was removed")
    with connected(options(context)) as api:
        api.delete(f"/users/{name}")
    print(f"Removed {name}.")


@group.command()
def passwd(
    context: typer.Context,
    name: _Name,
    generate: Annotated[bool, typer.Option("--generate", help="Make one up and show it once.")] = False,
) -> None:
    """Set the password of any user, also a lost one of admin; its sessions and tokens end.

    Asks for it, or reads the first line of standard input where nobody can be asked.
    """
    import secrets

    from hub.api.schemas_users import User
    from hub.cli.client import connected

    checked(name)
    password = secrets.token_urlsafe(16) if generate else _asked()
    with connected(options(context)) as api:
        api.patch(f"/users/{name}", {"password": password}, User)
    print(f"{name} has a new password; its sessions and tokens have ended.")
    if generate:
        print(f"password  {password}   (shown this once)")


@group.command()
def role(context: typer.Context, name: _Name, role: Annotated[Role, typer.Argument(help=_ROLES)]) -> None:
    """Give a user another role, in force at once. Administrators see all nodes."""
    from hub.api.schemas_users import User
    from hub.cli.client import connected

    with connected(options(context)) as api:
        changed = api.patch(f"/users/{checked(name)}", {"role": role.value}, User)
    print(f"{name} is {changed.role} now, and sees {_sees(changed)}.")


@group.command()
def groups(
    context: typer.Context,
    name: _Name,
    names: Annotated[str | None, typer.Argument(metavar="[A,B]", help="The groups whose nodes it sees.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="It sees all nodes.")] = False,
    none: Annotated[bool, typer.Option("--none", help="It sees no node.")] = False,
) -> None:
    """Say which groups of nodes a user sees and may command, in force at once."""
    from hub.api.schemas_users import User
    from hub.cli.client import connected

    if [names is not None, every, none].count(True) != 1:
        raise CliError("name groups (a,b), or give one of --all and --none", USAGE)
    wanted = None if every else [] if none else _listed(names)
    with connected(options(context)) as api:
        changed = api.patch(f"/users/{checked(name)}", {"groups": wanted}, User)
    print(f"{name} sees {_sees(changed)}.")


@group.command()
def logout(context: typer.Context, name: _Name) -> None:
    """End all sessions and tokens of a user at once."""
    from hub.cli.client import connected

    with connected(options(context)) as api:
        api.delete(f"/users/{checked(name)}/tokens")
    print(f"All sessions and tokens of {name} have ended.")


@group.command()
def logins(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Of this user only.")] = None,
    *,
    refused: Annotated[bool, typer.Option("--refused", help="Those that were refused only.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 50,
    as_json: _Json = False,
) -> None:
    """Show who logged in or tried to, and who used tokens that are not valid, newest first."""
    from hub.api.schemas import Page
    from hub.api.schemas_users import LoginAttempt
    from hub.cli.client import connected
    from hub.cli.output import local_time, print_json, table
    from hub.text import printable

    chosen: dict[str, str | int | float] = {"limit": limit}
    if name is not None:
        chosen["user"] = name
    if refused:
        chosen["accepted"] = "false"
    with connected(options(context)) as api:
        found = api.get("/audit/logins", Page[LoginAttempt], chosen).items
    if as_json:
        print_json(found)
    elif not found:
        print("Nobody has logged in or tried to.")
    else:
        rows = [
            (
                local_time(each.at),
                "password" if each.user is not None else "token",
                printable(each.user) if each.user is not None else "-",
                each.address,
                "accepted" if each.accepted else "refused",
            )
            for each in found
        ]
        table(("TIME", "BY", "USER", "FROM", "OUTCOME"), rows)


# -- private -----------------------------------------------------------------------------------------------------------


def _asked() -> str:
    """A password from the person at the terminal, or the first line of standard input."""
    import getpass
    import sys

    if sys.stdin.isatty():
        password = getpass.getpass("New password: ")
        if password != getpass.getpass("Again: "):
            raise CliError("the two are not the same; nothing was changed")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if len(password) < _LEAST:
        raise CliError(f"a password needs at least {_LEAST} characters; nothing was changed")
    return password


def _listed(names: str | None) -> list[str] | None:
    return [name.strip() for name in names.split(",") if name.strip()] if names is not None else None


def _sees(user: User) -> str:
    if user.groups is None:
        return "all nodes"
    return f"groups {', '.join(user.groups)}" if user.groups else "no nodes"
