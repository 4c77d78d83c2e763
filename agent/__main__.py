"""``python -m agent``, ``iothub-agent``: the host agent. Exit 0 stopped as asked, 1 failed, 2 wrong settings."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent import joining
from agent.config import Settings, load_settings
from wire.errors import OutboxError, SettingsError
from wire.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED: Final = 1
USAGE: Final = 2
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the agent; returns the exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if arguments[:1] and arguments[0] in joining.COMMANDS:
        return joining.main(arguments)
    return _run(arguments)


def _run(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings(options.config, node=options.node, state=options.state)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return USAGE
    if options.check:
        mqtt = settings.mqtt
        sys.stdout.write(f"settings are fine: node {settings.agent.node}, broker {mqtt.host}:{mqtt.port}\n")
        return 0
    logging.basicConfig(
        level=options.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(message)s"
    )
    try:
        settings.agent.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        sys.stderr.write(f"agent.state: cannot make {settings.agent.state}: {error.strerror}\n")
        return FAILED
    try:
        asyncio.run(_until_signalled(settings))
    except OutboxError as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    except SettingsError as error:  # keys of operators, which are read when it starts
        sys.stderr.write(f"{error}\n")
        return USAGE
    return 0


async def _until_signalled(settings: Settings) -> None:
    from agent.service import run  # noqa: PLC0415  --check and --help need none of it

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop_in_order(number: signal.Signals) -> None:
        logging.getLogger("agent").info("%s: stopping; a second one ends at once", number.name)
        stop.set()
        for each in _SIGNALS:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop_in_order, number)
    await run(settings, stop)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="iothub-agent",
        description="Measure this host and publish it by MQTT.",
        epilog="iothub-agent join HOST:PORT makes this machine a node of a hub; iothub-agent leave ends that.",
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="settings (default: ./iothub.toml where there is one)"
    )
    parser.add_argument("--state", type=Path, metavar="DIR", help="what must outlive the process (agent.state)")
    parser.add_argument("--node", metavar="ID", help="id of this host (agent.node; default: the host name)")
    parser.add_argument("--check", action="store_true", help="validate the settings and do nothing else")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    parser.add_argument("--version", action="version", version=f"iothub-agent {__version__}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
