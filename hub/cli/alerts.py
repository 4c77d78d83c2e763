"""``iothub alerts``: what is wrong and who knows of it; acknowledge, assign, comment, silence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from hub.cli.base import USAGE, CliError, options

if TYPE_CHECKING:
    from hub.cli.client import Params

group = typer.Typer(
    help="Alerts: list, show, acknowledge, assign, comment, silence.",
    invoke_without_command=True,
    rich_markup_mode=None,
)

_STATES: Final = ("open", "pending", "firing", "acknowledged", "resolved", "all")

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Id = Annotated[int, typer.Argument(metavar="ID", min=0, help="Number of the alert.")]
_Why = Annotated[str, typer.Option("--why", "-m", help="A remark, kept in its history.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(group, name="alerts")


@group.callback()
def alerts(context: typer.Context, as_json: _Json = False) -> None:
    """List what is wrong now. `show` shows one, `ack` says that you know, `silence` keeps rules or nodes quiet."""
    if context.invoked_subcommand is None:
        list_alerts(context, as_json=as_json)


@group.command("list")
def list_alerts(
    context: typer.Context,
    *,
    only: Annotated[str, typer.Option(metavar="STATE", help=f"One of {', '.join(_STATES)}.")] = "open",
    severity: Annotated[str | None, typer.Option(help="info, warning or critical.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only of this rule; may be a glob.")] = None,
    node: Annotated[str | None, typer.Option(help="Only of this node; may be a glob.")] = None,
    last: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Only what fired since, e.g. 90s, 5m, 2h, 7d.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: _Json = False,
) -> None:
    """List alerts, those that fired last first."""
    from itertools import islice
    from typing import get_args

    from hub.api.schemas_alerts import Alert, Severity
    from hub.cli.alertview import print_alerts
    from hub.cli.client import connected
    from hub.cli.output import print_json
    from hub.cli.timerange import seconds

    for option, word, words in (("--only", only, _STATES), ("--severity", severity, get_args(Severity))):
        if word is not None and word not in words:
            raise CliError(f"{option} {word!r}: is none of {', '.join(words)}", USAGE)
    since = f"-{seconds('--last', last):g}s" if last else None
    given = {"severity": severity, "rule": rule, "node": node, "since": since}
    chosen: Params = {"state": only, "limit": min(limit, 1000)}
    chosen |= {name: value for name, value in given.items() if value}
    with connected(options(context)) as api:
        found = list(islice(api.items("/alerts", Alert, chosen), limit))
    if as_json:
        print_json(found)
    else:
        print_alerts(found, all_is_well=only == "open" and not any(given.values()))


@group.command()
def show(context: typer.Context, alert_id: _Id, as_json: _Json = False) -> None:
    """Show one alert with all that happened to it."""
    from hub.api.schemas_alerts import AlertDetail
    from hub.cli.alertview import print_alert
    from hub.cli.client import connected
    from hub.cli.output import print_json

    with connected(options(context)) as api:
        found = api.get(f"/alerts/{alert_id}", AlertDetail)
    if as_json:
        print_json(found)
    else:
        print_alert(found)


@group.command()
def ack(
    context: typer.Context,
    ids: Annotated[list[int], typer.Argument(metavar="ID...", min=0, help="Numbers of alerts.")],
    why: _Why = "",
    as_json: _Json = False,
) -> None:
    """Say that you know: they notify nobody again, until they get worse."""
    from hub.api.schemas_alerts import Acknowledgement, Alert
    from hub.cli.alertview import line
    from hub.cli.client import connected
    from hub.cli.output import print_json

    with connected(options(context)) as api:
        done = [api.post(f"/alerts/{each}/ack", Acknowledgement(why=why), Alert) for each in ids]
    if as_json:
        print_json(done)
        return
    for alert in done:
        print(f"Acknowledged {line(alert)}.")


@group.command()
def assign(
    context: typer.Context,
    alert_id: _Id,
    to: Annotated[str, typer.Argument(metavar="WHO", help="Whose it is; - for nobody's.")],
    why: _Why = "",
    as_json: _Json = False,
) -> None:
    """Make an alert somebody's."""
    from hub.api.schemas_alerts import Alert, Assignment
    from hub.cli.alertview import line
    from hub.cli.client import connected
    from hub.cli.output import print_json

    whose = None if to == "-" else to
    with connected(options(context)) as api:
        alert = api.post(f"/alerts/{alert_id}/assign", Assignment(to=whose, why=why), Alert)
    if as_json:
        print_json(alert)
    else:
        print(f"Assigned to {whose or 'nobody'}: {line(alert)}.")


@group.command()
def comment(
    context: typer.Context,
    alert_id: _Id,
    text: Annotated[str, typer.Argument(help="The remark.")],
    as_json: _Json = False,
) -> None:
    """Add a remark to an alert, also to one that is over."""
    from hub.api.schemas_alerts import Alert, Remark
    from hub.cli.alertview import line
    from hub.cli.client import connected
    from hub.cli.output import print_json

    with connected(options(context)) as api:
        alert = api.post(f"/alerts/{alert_id}/comment", Remark(why=text), Alert)
    if as_json:
        print_json(alert)
    else:
        print(f"Added to {line(alert)}.")


@group.command()
def silence(
    context: typer.Context,
    *,
    rule: Annotated[str, typer.Option(help="Rules that this is about; may be a glob.")] = "*",
    node: Annotated[str, typer.Option(help="Nodes that this is about; may be a glob.")] = "*",
    lasts: Annotated[str, typer.Option("--for", metavar="DURATION", help="How long, e.g. 30m, 2h, 7d.")],
    why: Annotated[str, typer.Option("--why", "-m", help="Why; shown to whoever looks.")],
    as_json: _Json = False,
) -> None:
    """Keep rules or nodes from notifying anybody for a while."""
    from hub.api.schemas_alerts import Silence, SilenceRequest
    from hub.cli.client import connected
    from hub.cli.output import local_time, print_json
    from hub.cli.timerange import seconds

    if rule == node == "*":
        raise CliError("which ones? Name a --rule or a --node; --node '?*' means all of them", USAGE)
    wanted = SilenceRequest(rule=rule, node=node, ends=f"+{seconds('--for', lasts):g}s", why=why)
    with connected(options(context)) as api:
        made = api.post("/silences", wanted, Silence)
    if as_json:
        print_json(made)
    else:
        print(f"Silence {made.id}: rules {made.rule}, nodes {made.node}, until {local_time(made.ends)}.")
        print(f"End it before with: iothub alerts unsilence {made.id}")


@group.command()
def silences(
    context: typer.Context,
    *,
    ended: Annotated[bool, typer.Option("--all", help="Also those that hold no more.")] = False,
    as_json: _Json = False,
) -> None:
    """List silences."""
    from hub.api.schemas_alerts import Silence
    from hub.cli.alertview import print_silences
    from hub.cli.client import connected
    from hub.cli.output import print_json

    with connected(options(context)) as api:
        found = list(api.items("/silences", Silence, {"ended": str(ended).lower()}))
    if as_json:
        print_json(found)
    else:
        print_silences(found)


@group.command()
def unsilence(context: typer.Context, number: Annotated[int, typer.Argument(metavar="ID", min=0)]) -> None:
    """End a silence now."""
    from hub.cli.client import connected

    with connected(options(context)) as api:
        api.delete(f"/silences/{number}")
    print(f"Silence {number} is over.")
