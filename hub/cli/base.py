"""What every command shares: the global options, the settings they lead to, and errors that end in one line."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    import typer

    from hub.config import Settings
    from hub.paths import StatePaths

FAILED: Final = 1
USAGE: Final = 2


class CliError(Exception):
    """Ends the command: ``message`` is for people (what, where, what to do), ``code`` the exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Options:
    """The global options."""

    #: None: ``iothub.toml`` in the current directory where there is one.
    config: Path | None = None
    #: None: what the settings say.
    state: Path | None = None
    debug: bool = False

    def settings(self) -> Settings:
        """The settings, with ``state`` absolute.

        Raises:
            SettingsError: they are wrong.
        """
        from hub.config import Settings
        from wire.settings import load

        settings = load(Settings, self.config, overrides={"state": self.state})
        return settings.model_copy(update={"state": settings.state.expanduser().absolute()})

    def config_file(self) -> Path | None:
        """The file that is read; None when there is none."""
        from wire.settings import DEFAULT_FILE

        if self.config is not None:
            return self.config.absolute()
        return DEFAULT_FILE.absolute() if DEFAULT_FILE.exists() else None


def options(context: typer.Context) -> Options:
    """The global options of the running command."""
    found = context.find_object(Options)
    if found is None:
        raise AssertionError("the root command sets them")
    return found


def state_paths(settings: Settings) -> StatePaths:
    """Where the state directory keeps what."""
    from hub.paths import StatePaths

    return StatePaths(settings.state)


def open_state(settings: Settings) -> StatePaths:
    """As :func:`state_paths`, for commands that read what is there.

    Raises:
        CliError: it belongs to another user.
    """
    paths = state_paths(settings)
    if paths.root.is_dir() and not os.access(paths.root, os.R_OK | os.X_OK):
        raise CliError(f"{paths.root} belongs to another user: run this as the user that runs the hub (or with sudo)")
    return paths
