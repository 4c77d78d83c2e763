"""``iothub check`` and ``doctor``."""

from __future__ import annotations

import typer

from hub.cli.base import options


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(check)


def check(context: typer.Context) -> None:
    """Check the settings of hub and agent without starting anything."""
    from hub.cli.checking import run_check

    raise typer.Exit(run_check(options(context)))
