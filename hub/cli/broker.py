"""``iothub broker init``: files of a broker that somebody else runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hub.cli.base import USAGE, CliError, options, state_paths

group = typer.Typer(
    help="Prepare a broker that iothub does not run itself.", no_args_is_help=True, rich_markup_mode=None
)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(group, name="broker")


@group.callback()
def broker() -> None:
    """Prepare a broker that iothub does not run itself."""


@group.command()
def init(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where its configuration and data go.")],
    listen: Annotated[str, typer.Option(metavar="ADDRESS", help="Address the broker listens on.")] = "127.0.0.1",
    plugin: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Its dynamic-security plugin, as it finds it; default: this machine's."),
    ] = None,
    node: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="Account of a node, and the file of its password; may be repeated."),
    ] = None,
) -> None:
    """Write configuration, accounts and passwords for a Mosquitto in a container or service of its own.

    Run it while that broker is down. Running it again keeps all accounts and passwords. Start the broker as this user,
    in DIR/data, with -c DIR/mosquitto.conf; the hub with broker.mode = "external", mqtt.username and mqtt.client_id
    "hub", and mqtt.password_file = STATE/secrets/mqtt-hub.
    """
    from hub.broker import locate
    from hub.broker.elsewhere import make_ready
    from hub.broker.errors import BrokerError
    from hub.cli.run import make_state
    from wire.errors import TopicError

    settings = options(context).settings()
    nodes = dict(_name_and_file(text) for text in node or ())
    make_state(settings)
    try:
        found = plugin or locate.find_plugin(locate.find_program(settings.broker.program))
        config = make_ready(
            settings, state_paths(settings), folder.absolute(), listen=listen, plugin=found, nodes=nodes
        )
    except TopicError as error:
        raise CliError(f"--node: {error.detail}", USAGE) from error
    except BrokerError as error:
        raise CliError(str(error)) from error
    except OSError as error:
        raise CliError(f"{error.filename or folder}: {error.strerror or error}") from error
    print(f"ready: cd {config.parent / 'data'} && mosquitto -c {config}")


def _name_and_file(text: str) -> tuple[str, Path]:
    name, equals, file = text.partition("=")
    if not equals or not name or not file:
        raise CliError(f"--node {text}: must be NAME=FILE, such as host-1=/run/secrets/host-1", USAGE)
    return name, Path(file).absolute()
