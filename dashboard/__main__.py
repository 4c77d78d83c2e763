"""``python -m dashboard``: serve the app. Exit 0 stopped as asked, 1 failed, 2 wrong settings."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dashboard.config import load_settings
from wire.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

USAGE: Final = 2
#: Where processors are short, the ingest goes before pictures.
_NICE: Final = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Run the dashboard; returns the exit code."""
    parser = argparse.ArgumentParser(prog="iothub dashboard", description="Serve the hub's pages for the browser.")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (default: ./iothub.toml)")
    options = parser.parse_args(argv)
    try:
        settings = load_settings(options.config)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return USAGE
    os.nice(_NICE)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stopped)
    from dashboard.server import run  # noqa: PLC0415  --help needs none of it

    return run(settings.dashboard)


def _stopped(_number: int, _frame: FrameType | None) -> None:
    """As asked, while there is no server yet that could come to its end."""
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
