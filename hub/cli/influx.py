"""``iothub influx``: set an InfluxDB up for the hub, and move what the embedded store holds into it."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.base import FAILED, CliError, options, state_paths
from wire.point import NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hub.config import Settings
    from hub.influx.steps import Step

group = typer.Typer(
    help="InfluxDB: set it up, move stored data into it, make roll-ups again.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(group, name="influx")


@group.callback()
def influx() -> None:
    """The InfluxDB that [store.influx] names: set it up, move stored data into it, make roll-ups again."""


@group.command()
def setup(
    context: typer.Context,
    *,
    admin: Annotated[
        str, typer.Option(metavar="NAME", help="An administrator of 1.x, where it asks for one.")
    ] = "admin",
    admin_password_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Its password; default: influx-admin-password in the secrets folder."),
    ] = None,
    admin_token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A token of 2.x or 3.x that may do all; default: influx-admin-token there."),
    ] = None,
    grafana_password_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Grafana's password, made if it is missing; default on 1.x: influx-grafana-password there. "
            "On 2.x: makes user grafana of the 1.x API, and no token.",
        ),
    ] = None,
    shorten: Annotated[
        bool, typer.Option("--shorten", help="Also make retention shorter: what is older is deleted.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Make what the hub needs there: database, retention, roll-ups, accounts.

    Run again, it changes nothing. Passwords and tokens go to files of the secrets folder.
    """
    import asyncio
    from dataclasses import asdict

    from hub.cli.output import paint, print_json
    from hub.cli.run import make_state
    from hub.influx.setup import Asked, set_up
    from hub.influx.steps import Outcome, SetupFailed
    from hub.store.base import StoreError
    from hub.text import printable

    settings = options(context).settings()
    make_state(settings)
    steps: list[Step] = []

    async def run(found: AsyncIterator[Step]) -> None:
        async for step in found:
            steps.append(step)
            if not as_json:
                text = f"{step.what}: {step.note}" if step.note else step.what
                print(f"{paint(step.outcome.value, step.outcome.value.ljust(8))} {printable(text)}", flush=True)

    asked = Asked(admin, admin_password_file, admin_token_file, grafana_password_file, shorten)
    try:
        asyncio.run(run(set_up(settings, state_paths(settings), asked)))
    except (SetupFailed, StoreError) as error:
        raise CliError(str(error)) from error
    if as_json:
        print_json([asdict(step) for step in steps])
    else:
        _say_what_next(settings, steps)
    if any(step.outcome is Outcome.FAILED for step in steps):
        raise typer.Exit(FAILED)


def _say_what_next(settings: Settings, steps: list[Step]) -> None:
    """What to write into the settings, and what Grafana needs."""
    from hub.influx.steps import Outcome

    done = [step for step in steps if step.outcome in {Outcome.MADE, Outcome.CHANGED}]
    print(f"\n{len(done)} things made or changed." if done else "\nNothing was changed.")
    folder, influx = state_paths(settings).secrets, settings.store.influx
    lines = []
    if "influx" not in {settings.store.kind, *settings.store.also}:
        lines += ["[store]", 'kind = "influx"']
    credentials = []
    hub_password, hub_token = folder / "influx-hub-password", folder / "influx-hub-token"
    if hub_password.exists() and not (influx.password or influx.password_file):
        credentials += [f'username = "{influx.username or "iothub"}"', f'password_file = "{hub_password}"']
    if hub_token.exists() and not (influx.token or influx.token_file):
        credentials += [f'token_file = "{hub_token}"']
    if credentials:
        lines += ["[store.influx]", *credentials]
    if lines:
        print("The settings still need:", *(f"  {line}" for line in lines), sep="\n")
    for_grafana = [file for name in ("password", "token") if (file := folder / f"influx-grafana-{name}").exists()]
    if for_grafana:
        print(
            f"Grafana reads with {for_grafana[0]}"
            + (" and user grafana." if "password" in for_grafana[0].name else ".")
        )


@group.command()
def migrate(
    context: typer.Context,
    *,
    again: Annotated[bool, typer.Option("--again", help="Begin at the first row, whatever was moved before.")] = False,
    as_json: _Json = False,
) -> None:
    """Move what the embedded store holds into InfluxDB.

    Stop the hub before, unless it stores in InfluxDB alone: the embedded store's file belongs to one process.
    What was interrupted goes on where it was; a second run moves what came since. Ends by counting both sides.
    """
    from hub.cli.migrating import run_migrate

    settings = options(context).settings()
    if code := run_migrate(settings, again=again, as_json=as_json):
        raise typer.Exit(code)


@group.command()
def rollup(
    context: typer.Context,
    last: Annotated[str | None, typer.Option("--last", metavar="DURATION", help="How far back, e.g. 6h, 2d.")] = None,
    start: Annotated[str | None, typer.Option("--start", metavar="TIME", help="ISO 8601 or ms since 1970.")] = None,
    stop: Annotated[str | None, typer.Option("--stop", metavar="TIME", help="Not included; default: now.")] = None,
) -> None:
    """Make roll-ups again, of the last day unless told otherwise.

    InfluxDB makes those of the last 15 minutes by itself (of hours: the last 6 h). After it was away for longer, what
    the hub had kept for it came too late for them.
    """
    from hub.cli.migrating import run_rollup
    from hub.cli.timerange import range_ms

    start_ms, stop_ms = range_ms(last, start, stop, "1d")
    run_rollup(options(context).settings(), start_ms * NS_PER_MS, stop_ms * NS_PER_MS)
