"""``iothub up``, ``hub``, ``agent`` and ``dashboard``: what runs until it is told to stop."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.base import CliError, options, state_paths
from hub.runfile import read_run

if TYPE_CHECKING:
    from hub.config import Settings


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(up)
    app.command()(hub)
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(agent)
    app.command()(dashboard)


def up(
    context: typer.Context,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show all that the parts log.")] = False,
) -> None:
    """Run everything here: broker, hub, host agent, dashboard.

    Prints where everything is once it runs. Ctrl-C stops it in order.
    """
    import asyncio

    from hub.cli.live import note
    from hub.cli.summary import print_up
    from hub.plan import Plan, UpFailed
    from hub.up import run_up

    chosen = options(context)
    settings = chosen.settings()
    make_state(settings)
    try:
        code = asyncio.run(run_up(Plan(settings, chosen.config_file()), say=note, on_ready=print_up, verbose=verbose))
    except UpFailed as error:
        raise CliError(str(error), error.code) from error
    raise typer.Exit(code)


def hub(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Say in JSON that it is ready.")] = False,
) -> None:
    """Run the hub alone; the broker is there already."""
    from hub.cli.hubbing import run

    chosen = options(context)
    settings = chosen.settings()
    make_state(settings)
    run(settings, chosen.config_file(), as_json=as_json)


def agent(context: typer.Context) -> None:
    """Run the host agent alone.

    Further options are the agent's own: iothub agent -- --help
    """
    chosen = options(context)
    config = chosen.config_file()
    # The same directory as below ``iothub up``: one host, one outbox.
    state = state_paths(chosen.settings()).agent
    arguments = [*(["--config", str(config)] if config else []), "--state", str(state)]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "agent", *arguments, *context.args])  # noqa: S606  no shell


def dashboard(context: typer.Context) -> None:
    """Run the pages for the browser alone; the hub is running already."""
    chosen = options(context)
    settings = chosen.settings()
    config = chosen.config_file()
    arguments = ["--config", str(config)] if config else []
    environment = os.environ.copy()
    if not settings.dashboard.get("api_url") and (running := read_run(state_paths(settings).run)) is not None:
        # The hub of this state directory, wherever it listens.
        environment["IOTHUB_DASHBOARD__API_URL"] = running.api_url
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", "dashboard", *arguments], environment)  # noqa: S606  no shell


def make_state(settings: Settings) -> None:
    """Make the state directory.

    Raises:
        CliError: no permission, or a file stands in the way.
    """
    # Everything that this process and its children write is for this user only.
    os.umask(0o077)
    try:
        state_paths(settings).make()
    except FileExistsError as error:
        raise CliError(f"{error.filename} is no directory. Choose another state directory with --state DIR.") from error
    except OSError as error:
        raise CliError(
            f"cannot use the state directory: {error.filename}: {error.strerror}. Choose another with --state DIR."
        ) from error
