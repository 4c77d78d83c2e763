"""``iothub check`` and ``doctor``."""

from __future__ import annotations

from typing import Annotated

import typer

from hub.cli.base import FAILED, options


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(check)
    app.command()(doctor)


def check(context: typer.Context) -> None:
    """Check the settings; starts nothing.

    Prints one line for each thing that is wrong (exit code 2), or what was read.
    """
    from hub.cli.checking import run_check

    raise typer.Exit(run_check(options(context)))


def doctor(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Try every part of the running system.

    Says what to do about each part that fails; exit code 1 when there is one.
    """
    from dataclasses import asdict

    from hub.cli import doctor as checks
    from hub.cli import finding as verdicts
    from hub.cli.output import paint, print_json
    from hub.text import printable

    findings = []
    for finding in checks.examine(options(context)):
        findings.append(finding)
        if not as_json:
            print(
                f"{paint(finding.verdict, finding.verdict.ljust(8))} {finding.name:<10} {printable(finding.text)}",
                flush=True,
            )
    if as_json:
        print_json([asdict(finding) for finding in findings])
    if any(finding.verdict == verdicts.FAILED for finding in findings):
        raise typer.Exit(FAILED)
