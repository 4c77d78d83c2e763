"""The ``iothub`` command: global options, the table of commands, and the one place where errors become lines.

    argv ─▶ global options to the front ─▶ typer ─▶ command ─▶ exit code
                                                      └─ CliError, SettingsError ─▶ one line each on standard error

Modules imported here make ``iothub --help`` slow; commands import what they need when they run.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path  # noqa: TC003  typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hub.cli import (
    accounts,
    admin,
    alerts,
    audit,
    broker,
    commands,
    data,
    influx,
    joining,
    ledger,
    live,
    nodes,
    notify,
    operator,
    rejects,
    rules,
    send,
    tls,
    tokens,
    users,
)
from hub.cli import run as run_commands
from hub.cli.base import FAILED, USAGE, CliError, Options
from wire.errors import SettingsError
from wire.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Accepted before and after the name of the command.
_WITH_VALUE: Final = ("--config", "--state")
_FLAGS: Final = ("--debug",)
_EPILOG: Final = "--config, --state and --debug may also follow the command. Start with: iothub up"

app = typer.Typer(
    name="iothub",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EPILOG,
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"iothub {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            envvar="IOTHUB_CONFIG",
            metavar="FILE",
            readable=False,
            help="Settings; default: ./iothub.toml if there is one.",
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(envvar="IOTHUB_STATE", metavar="DIR", readable=False, help="State directory; default: ./var"),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """IoT hub on MQTT 5: ingest, time series, alerts and commands, and nothing is lost silently."""
    del version
    context.obj = Options(config, state, debug)


for _group in (
    run_commands,
    nodes,
    accounts,
    users,
    tokens,
    data,
    live,
    alerts,
    notify,
    send,
    commands,
    audit,
    operator,
    rejects,
    rules,
    ledger,
    broker,
    tls,
    joining,
    influx,
    admin,
):
    _group.register(app)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code."""
    arguments = globals_first(arguments)
    debug = "--debug" in arguments
    try:
        app(args=list(arguments), prog_name="iothub")
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else FAILED
    except SettingsError as error:
        if debug:
            traceback.print_exc()
        _say("the settings are wrong:", *(f"  {problem}" for problem in error.problems))
        return USAGE
    except CliError as error:
        if debug:
            traceback.print_exc()
        _say(str(error))
        return error.code
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Python would complain once more while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # noqa: BLE001  the last resort: people get a line, --debug the traceback
        if debug:
            traceback.print_exc()
        where = "" if debug else " Run it again with --debug for the details."
        _say(f"internal error, please report it: {type(error).__name__}: {error}.{where}")
        return FAILED
    return 0


def globals_first(arguments: Sequence[str]) -> list[str]:
    """Move the global options before the command, so that people may write them anywhere; ``--`` ends the search."""
    front: list[str] = []
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if argument == "--":
            rest += [argument, *waiting]
            break
        if argument in _WITH_VALUE and waiting:
            front += [argument, waiting.pop(0)]
        elif argument in _FLAGS or argument.startswith(tuple(f"{name}=" for name in _WITH_VALUE)):
            front.append(argument)
        else:
            rest.append(argument)
    return front + rest


def _say(*lines: str) -> None:
    print(f"iothub: {lines[0]}", *lines[1:], sep="\n", file=sys.stderr)
