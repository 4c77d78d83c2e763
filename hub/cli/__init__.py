"""The ``iothub`` command; ``main`` is its entry point and works, with one clear line, on a light install too."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line in ``sys.argv`` and exit: 0 ok, 1 failed, 2 usage or settings."""
    try:
        from hub.cli.app import run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in {"hub", "wire"}:
            raise
        sys.exit(
            f"iothub: the Python package {error.name!r} is missing: this is the light install, which holds the agent "
            "only (`iothub-agent`). For the hub and its commands: pip install 'iothub[hub]'"
        )
    sys.exit(run(sys.argv[1:]))
