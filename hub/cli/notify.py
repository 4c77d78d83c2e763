"""``iothub notify``: the channels, a test message to one, and who was told of what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from hub.cli.base import FAILED, USAGE, CliError, options

if TYPE_CHECKING:
    from hub.api.schemas_notify import Notification, NotifyChannel
    from hub.cli.client import Params

group = typer.Typer(
    help="Notifications: channels, a test message, who was told.", invoke_without_command=True, rich_markup_mode=None
)

_OUTCOMES: Final = ("queued", "sent", "failed", "all")
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(group, name="notify")


@group.callback()
def notify(context: typer.Context, as_json: _Json = False) -> None:
    """List the channels. `test` sends a test message to one, `history` shows who was told of what."""
    if context.invoked_subcommand is None:
        list_channels(context, as_json=as_json)


@group.command("list")
def list_channels(context: typer.Context, as_json: _Json = False) -> None:
    """List the channels, each with whether it works."""
    from hub.api.schemas import Page
    from hub.api.schemas_notify import NotifyChannel
    from hub.cli.client import connected
    from hub.cli.output import print_json

    with connected(options(context)) as api:
        channels = api.get("/notify/channels", Page[NotifyChannel]).items
    if as_json:
        print_json(channels)
    elif channels:
        _print_channels(channels)
    else:
        print("Nobody is told of alerts: the settings have no [[notify.channels]].")


@group.command("test")
def try_channel(
    context: typer.Context,
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Name of the channel.")],
    as_json: _Json = False,
) -> None:
    """Send a test message to a channel and say what came back; exit code 1 when it was not taken."""
    from urllib.parse import quote

    from hub.api.schemas_notify import NotifyTest
    from hub.cli.client import connected
    from hub.cli.output import print_json
    from hub.text import printable

    with connected(options(context)) as api:
        result = api.post(f"/notify/channels/{quote(channel, safe='')}/test", None, NotifyTest)
    if as_json:
        print_json(result)
    elif result.ok:
        print(f"{channel} took the test message after {result.took_s:.1f} s; its last line is:")
        print(f"  Notification {result.notification}")
    if not result.ok:
        if as_json:
            raise typer.Exit(FAILED)
        raise CliError(f"{channel} did not take it: {printable(result.error)}")


@group.command()
def history(
    context: typer.Context,
    *,
    alert: Annotated[int | None, typer.Option(min=0, help="Only about this alert.")] = None,
    channel: Annotated[str | None, typer.Option(help="Only of this channel.")] = None,
    only: Annotated[str, typer.Option(metavar="OUTCOME", help=f"One of {', '.join(_OUTCOMES)}.")] = "all",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 30,
    as_json: _Json = False,
) -> None:
    """Show who was told of what, newest first."""
    from itertools import islice

    from hub.api.schemas_notify import Notification
    from hub.cli.client import connected
    from hub.cli.output import print_json

    if only not in _OUTCOMES:
        raise CliError(f"--only {only!r}: is none of {', '.join(_OUTCOMES)}", USAGE)
    chosen: Params = {"limit": min(limit, 1000)}
    given = {"alert": alert, "channel": channel, "outcome": None if only == "all" else only}
    chosen |= {name: value for name, value in given.items() if value is not None}
    with connected(options(context)) as api:
        found = list(islice(api.items("/notifications", Notification, chosen), limit))
    if as_json:
        print_json(found)
    elif found:
        _print_history(found)
    else:
        print("Nobody was told of anything.")


# -- private -----------------------------------------------------------------------------------------------------------


def _print_channels(channels: list[NotifyChannel]) -> None:
    from hub.cli.output import ago, paint, table
    from hub.text import printable

    table(
        ("CHANNEL", "STATE", "SERVICE", "WAITING", "SENT", "GIVEN UP", "LAST SENT"),
        [
            (
                each.name,
                paint("failed") if each.failing_since or not each.service else paint("ok"),
                printable(each.service or "-"),
                str(each.waiting),
                str(each.sent),
                str(each.given_up),
                ago(each.last_sent) if each.last_sent else "-",
            )
            for each in channels
        ],
        right=frozenset({3, 4, 5}),
    )
    for each in channels:
        if each.failing_since:
            print(f"\n{each.name} takes nothing (first failure {ago(each.failing_since)}): {printable(each.error)}")
        elif not each.service:
            print(f"\n{each.name}: its address cannot be read or understood; `iothub check` says why.")


def _print_history(found: list[Notification]) -> None:
    from hub.cli.output import local_time, paint, table
    from hub.text import printable, shortened

    table(
        ("CREATED", "CHANNEL", "OUTCOME", "ALERTS", "MESSAGE"),
        [
            (
                local_time(each.created),
                each.channel,
                paint(each.outcome),
                shortened(" ".join(f"#{number}" for number in each.alerts) or "-", 24),
                printable(each.title) + (f"  ({printable(each.error)})" if each.error else ""),
            )
            for each in found
        ],
    )
