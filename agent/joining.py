"""``iothub-agent join HOST:PORT`` and ``leave``: this machine becomes a node of a hub, and stops being one.

token on standard input: SECRET#FINGERPRINT
GET  /ca.crt            whoever answers: believed only if SHA-256 of the certificate is FINGERPRINT
POST /join {…SECRET…}   a new connection, verified by that certificate and by host name
write                   {state}/ca.crt, mqtt-password, joined.json and the settings file, mode 0600
check                   one connection to the broker with all of it

The secret never goes over a connection that is not verified, and stands in no list of processes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from agent.config import default_node, load_settings
from agent.join_hub import JoinError, JoinHub, printable
from wire.errors import SettingsError, TopicError, WireError
from wire.settings import DEFAULT_FILE
from wire.topics import check_node_id

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS: Final = ("join", "leave")
_DEFAULT_PORT: Final = 8885
_TOKEN: Final = re.compile(r"([A-Za-z0-9_-]{16,128})#([0-9a-f]{64})")
_DEFAULT_STATE: Final = Path("var/agent")


def main(argv: Sequence[str]) -> int:
    """Run ``join`` or ``leave``; the exit code."""
    options = _parser().parse_args(argv)
    try:
        (join if options.command == "join" else leave)(options)
    except (JoinError, SettingsError) as error:
        sys.stderr.write(f"iothub-agent: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"iothub-agent: {error.filename or 'this machine'}: {error.strerror or error}\n")
        return 1
    return 0


def join(options: argparse.Namespace) -> None:
    """Join, and write down what the hub gave.

    Raises:
        JoinError: the hub refused, is not the one that the token is for, or this machine has joined already.
        OSError: a file cannot be written.
    """
    config, state = _places(options)
    if config.exists():
        raise JoinError(f"{config} is there already: `iothub-agent leave` first, or another file with --config FILE")
    hub, node = _hub(options.hub), _node(options.node or default_node())
    secret, fingerprint = _token()
    authority = hub.authority(fingerprint)
    said = hub.post(authority, "/join", {"token": secret, "node": node})
    try:
        _write(config, state, hub, authority, said)
    except (KeyError, TypeError, ValueError) as error:
        raise JoinError(f"{hub} answered something else than this version expects ({error})") from error
    load_settings(config, environ={})  # what was written is read again before anybody is told that it is there
    sys.stdout.write(f"{node} has joined {hub.host}: settings in {config}, credentials in {state}\n")
    broken = _connection_trouble(config)
    if broken:
        sys.stderr.write(f"iothub-agent: but its broker does not let it in yet: {broken}\n")
    else:
        sys.stdout.write("The broker lets it in. Start it: iothub-agent" + _options_text(config, state) + "\n")


def leave(options: argparse.Namespace) -> None:
    """Have the hub remove this node, then remove what it gave.

    Raises:
        JoinError: it did not join with ``join``, or the hub refused.
        OSError: a file cannot be removed.
    """
    config, state = _places(options)
    kept = state / "joined.json"
    try:
        joined = json.loads(kept.read_text(encoding="utf-8"))
        hub, node, token = JoinHub(joined["host"], int(joined["port"])), joined["node"], joined["leave_token"]
        authority = (state / "ca.crt").read_text(encoding="ascii")
    except FileNotFoundError as error:
        raise JoinError(
            f"{error.filename} is missing: this machine did not join with `iothub-agent join`, or keeps its state "
            "elsewhere (--state DIR). On the hub: iothub nodes rm NODE"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise JoinError(f"{kept} is damaged ({error}). On the hub: iothub nodes rm NODE") from error
    if not options.force:
        hub.post(authority, "/leave", {"node": node, "leave_token": token})
    for path in (Path(joined.get("config", config)), state / "mqtt-password", state / "ca.crt", kept):
        path.unlink(missing_ok=True)
    done = "has left" if not options.force else "forgets"
    sys.stdout.write(f"{node} {done} {hub.host}; what it had not sent yet stays in {state}\n")


# -- this machine ------------------------------------------------------------------------------------------------------


def _write(config: Path, state: Path, hub: JoinHub, authority: str, said: dict[str, Any]) -> None:
    """Write down the hub's answer: ``Joined`` in its API.

    Raises:
        KeyError, TypeError, ValueError: it is none.
        OSError: a file cannot be written.
    """
    node, credentials, mqtt = said["node"], said["credentials"], said["mqtt"]
    for folder in (state, config.parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    password, ca = state / "mqtt-password", state / "ca.crt"
    _private(ca, authority)
    _private(password, credentials["password"] + "\n")
    values = {
        "mqtt": {
            "host": hub.host,
            "port": int(mqtt["port"]),
            "root": mqtt["root"],
            "tls": True,
            "ca_file": str(ca),
            "username": credentials["username"],
            "password_file": str(password),
            "client_id": credentials["client_id"],
        },
        "agent": {"node": node, "state": str(state)},
    }
    tables = [
        f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        for name, table in values.items()
    ]
    joined = {"host": hub.host, "port": hub.port, "node": node, "leave_token": said["leave_token"]}
    _private(state / "joined.json", json.dumps(joined | {"config": str(config)}) + "\n")
    _private(config, "# Written by iothub-agent join; add to it what you like.\n" + "\n".join(tables))


def _private(path: Path, text: str) -> None:
    """Write a file that never exists with a wider mode than 0600, nor half written."""
    partial = path.with_name(path.name + ".new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _connection_trouble(config: Path) -> str:
    """Why the broker does not let this node in; empty when it does."""
    from wire.connection import Connection  # noqa: PLC0415  --help needs none of it

    settings = load_settings(config, environ={})

    async def connect() -> None:
        async with Connection(settings.mqtt, client_id=settings.agent.node, clean_start=False):
            pass

    try:
        asyncio.run(connect())
    except WireError as error:
        return str(error)
    return ""


def _places(options: argparse.Namespace) -> tuple[Path, Path]:
    """Absolute paths of the settings file and of the state directory."""
    return (options.config or DEFAULT_FILE).absolute(), (options.state or _DEFAULT_STATE).absolute()


def _options_text(config: Path, state: Path) -> str:
    text = "" if config == DEFAULT_FILE.absolute() else f" --config {config}"
    return text + ("" if state == _DEFAULT_STATE.absolute() else f" --state {state}")


def _hub(text: str) -> JoinHub:
    found = re.fullmatch(r"(?:https://)?(\[[0-9a-fA-F:.%]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?/?", text)
    if found is None:
        raise JoinError(f"{printable(text)} is no HOST:PORT such as hub.lan:{_DEFAULT_PORT}")
    return JoinHub(found[1].strip("[]"), int(found[2] or _DEFAULT_PORT))


def _node(name: str) -> str:
    try:
        return check_node_id(name)
    except TopicError as error:
        raise JoinError(f"--node: {error.detail}") from error


def _token() -> tuple[str, str]:
    """Secret and fingerprint, from standard input."""
    if sys.stdin.isatty():
        sys.stderr.write("Join token (from `iothub join-token`): ")
        sys.stderr.flush()
    found = _TOKEN.fullmatch(sys.stdin.readline().strip())
    if found is None:
        raise JoinError("what came on standard input is no join token (SECRET#FINGERPRINT, from `iothub join-token`)")
    return found[1], found[2]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # What was given too much may be the token: it is not repeated.
        if "unrecognized arguments" in message:
            message = "too many arguments; the token is read from standard input: echo 'TOKEN' | iothub-agent join …"
        super().error(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="iothub-agent", description="Become a node of a hub, and stop being one.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("join", "become a node; the token is read from standard input"),
        ("leave", "stop being a node"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--config", type=Path, metavar="FILE", help="settings (default: ./iothub.toml)")
        command.add_argument("--state", type=Path, metavar="DIR", help="what must outlive the process")
        if name == "join":
            command.add_argument("hub", metavar="HOST:PORT", help="as `iothub join-token` printed it")
            command.add_argument("--node", metavar="ID", help="id of this host (default: the host name)")
        else:
            command.add_argument("--force", action="store_true", help="also when the hub does not answer")
    return parser
