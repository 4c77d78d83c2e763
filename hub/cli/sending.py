"""What ``iothub send`` does: asks the hub, follows the events of the command, ends with its exit code.

live events connected ─▶ POST ─▶ event: output? print · missed some? ask for what is kept · final? ─▶ GET, exit code
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from hub.api.schemas import Node, NodeDetail
from hub.api.schemas_commands import Command, CommandRequest, FleetRequest, FleetRun
from hub.api.schemas_live import LiveCommand, LiveReady, LiveSubscribe
from hub.cli.base import FAILED, USAGE, CliError
from hub.cli.client import Refused, connected
from hub.cli.live import note
from hub.cli.nodes import checked
from hub.cli.output import ago, print_json
from hub.cli.sendview import Printer, print_many, progress_line
from hub.cli.stream import Feed
from hub.commands.stages import chosen
from wire import messages
from wire.signing import PRIVATE_SUFFIX, KeyUnusable, read_private
from wire.signing import sign as signed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hub.cli.base import Options
    from hub.cli.client import Api, Params

_MS_PER_S: Final = 1000
#: As the setting ``commands.expires`` has it; signed commands must say it themselves.
_EXPIRES_S: Final = 300.0
_TICK_S: Final = 1.0
_INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for."""

    command: str
    args: dict[str, Any]
    timeout_s: float | None
    expires_s: float | None
    detach: bool
    key: Path | None
    as_json: bool

    def request(self, node: str) -> CommandRequest:
        """The body for one node, signed where a key is given."""
        if self.key is None:
            return CommandRequest(args=self.args, timeout_s=self.timeout_s, expires_s=self.expires_s)
        expires_ms = int((time.time() + (self.expires_s or _EXPIRES_S)) * _MS_PER_S)
        body = messages.Command(id=secrets.token_hex(16), args=self.args, timeout=self.timeout_s, expires=expires_ms)
        done = signed(body, node, self.command, _private(self.key), self.key.name.removesuffix(PRIVATE_SUFFIX))
        return CommandRequest(
            id=done.id,
            args=done.args,
            timeout_s=done.timeout,
            expires_ms=done.expires,
            operator=done.operator,
            nonce=done.nonce,
            signature=done.signature,
        )


def arguments(words: Sequence[str]) -> dict[str, Any]:
    """``name=value`` as typed: JSON (numbers, true, lists, "text"), or else text as it is.

    Raises:
        CliError: one of another shape; usage.
    """
    found: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise CliError(f"{word!r}: arguments are of the form name=value", USAGE)
        try:
            found[name] = json.loads(text, parse_constant=_no_number)
        except ValueError:
            found[name] = text
    return found


def send_one(given: Options, node: str, order: Order) -> int:
    """Send to one node; the exit code."""
    with connected(given) as api:
        _check_there(api, checked(node), order)
        if order.detach:
            command = _post(api, node, order)
            print_json(command) if order.as_json else _print_detached(command)
            return 0
        printer = Printer(quiet=order.as_json)
        sent: Command | None = None
        try:
            for event in Feed(given, LiveSubscribe(node=node, types=["command"]), note).events(_TICK_S):
                if isinstance(event, LiveReady):
                    # Also after the connection was lost: what was missed is asked for.
                    sent = _post(api, node, order) if sent is None else sent
                elif sent is None or (isinstance(event, LiveCommand) and event.id != sent.id):
                    continue
                if not isinstance(event, LiveCommand) or not printer.event(event):
                    sent = _caught_up(api, sent, printer)
                if printer.ended or sent.ended is not None:
                    break
        except KeyboardInterrupt:
            return _cancelled(api, sent, order)
        if sent is None:
            raise AssertionError("the first event is always LiveReady")
        return printer.end(_caught_up(api, sent, printer))


def send_many(
    given: Options, selectors: Sequence[str], order: Order, *, stages: Sequence[str], stop_after: int | None
) -> int:
    """Send to all nodes that the selectors mean; the exit code."""
    with connected(given) as api:
        wanted = FleetRequest(
            command=order.command,
            nodes=list(selectors),
            stages=list(stages),
            stop_after_failures=stop_after,
            args=order.args,
            timeout_s=order.timeout_s,
            expires_s=order.expires_s,
            signed=_signed_for_each(api, selectors, order),
        )
        run: FleetRun | None = None
        try:
            for event in Feed(given, LiveSubscribe(types=["command"]), note).events(_TICK_S):
                if isinstance(event, LiveCommand):
                    continue  # once a second is often enough to look
                run = _start(api, wanted) if run is None else api.get(f"/fleet-runs/{run.id}", FleetRun)
                if order.detach or run.ended is not None:
                    break
                progress_line(run)
        except KeyboardInterrupt:
            note(f"left; the run goes on: iothub fleet show {run.id}, iothub fleet stop {run.id}" if run else "left")
            return _INTERRUPTED
        if run is None:
            raise AssertionError("the first event is always LiveReady")
        commands = list(api.items("/commands", Command, {"run": run.id}))
    if order.detach and not order.as_json:
        print(f"{run.id}  to {run.nodes} nodes; look at it with: iothub fleet show {run.id}")
        return 0
    print_many(run, commands, as_json=order.as_json)
    return 0 if order.detach or run.states.get("done", 0) == run.nodes else FAILED


def cancel(api: Api, command_id: str, node: str | None, key: Path | None) -> Command:
    """Ask the node to end a command, signed where a key is given; the command that asks."""
    path = f"/commands/{quote(command_id, safe='')}"
    of: Params = {"node": node} if node is not None else {}
    if key is None:
        which = f"?node={quote(node, safe='')}" if node is not None else ""
        return api.post(f"{path}/cancel{which}", None, Command)
    found = api.get(path, Command, of)
    order = Order("cancel", {"id": found.id}, None, None, detach=True, key=key, as_json=False)
    return _post(api, found.node, order)


# -- private ----------------------------------------------------------------------------------------------------------


def _post(api: Api, node: str, order: Order) -> Command:
    return api.post(f"/nodes/{node}/commands/{_level(order.command)}", order.request(node), Command)


def _start(api: Api, wanted: FleetRequest) -> FleetRun:
    try:
        return api.post("/commands", wanted, FleetRun)
    except Refused as error:
        if error.kind != "no-node":
            raise
        raise CliError(
            f"no node matches {', '.join(wanted.nodes)}; `iothub nodes` lists those that there are"
        ) from error


def _caught_up(api: Api, command: Command, printer: Printer) -> Command:
    """The command as it is now; prints what was missed."""
    from hub.api.schemas_commands import OutputChunk

    found = api.get(f"/commands/{command.id}", Command, {"node": command.node})
    if printer.lacks(found):
        for chunk in api.items(f"/commands/{command.id}/output", OutputChunk, {"node": command.node}):
            printer.chunk(chunk)
        if not found.output_whole:
            printer.left_out(found)
    return found


def _check_there(api: Api, node: str, order: Order) -> None:
    """A node that is off says nothing: whoever does not want to wait should know."""
    detail = api.get(f"/nodes/{node}", NodeDetail)
    if detail.contact == "online" or order.expires_s is not None or order.detach:
        return
    since = f" since {ago(detail.since).removesuffix(' ago')}" if detail.since else ""
    seen = "was never here" if detail.contact == "never" else f"is {detail.contact}{since}"
    raise CliError(
        f"node {node} {seen}. To let the command wait for it: --expires 1h (and --detach, to not wait for the answer)"
    )


def _cancelled(api: Api, sent: Command | None, order: Order) -> int:
    if sent is not None:
        try:
            cancel(api, sent.id, sent.node, order.key)
        except CliError as error:
            note(f"it goes on, and {sent.node} could not be asked to cancel it: {error}")
        else:
            note(f"asked {sent.node} to cancel it: iothub commands show {sent.id}")
    return _INTERRUPTED


def _signed_for_each(api: Api, selectors: Sequence[str], order: Order) -> dict[str, CommandRequest]:
    if order.key is None:
        return {}
    nodes = {node.node: node.groups for node in api.items("/nodes", Node)}
    return {node: order.request(node) for node in chosen(selectors, nodes)}


def _private(path: Path) -> Any:
    try:
        return read_private(path.read_bytes())
    except OSError as error:
        raise CliError(f"--sign {path}: {error.strerror}", USAGE) from error
    except KeyUnusable as error:
        raise CliError(f"--sign {path}: {error}", USAGE) from error


def _print_detached(command: Command) -> None:
    what = {"waiting": "waits for the node", "sending": "waits for the broker"}.get(command.state, "is sent")
    print(f"{command.id}  {what}; look at it with: iothub commands show {command.id}")


def _level(command: str) -> str:
    from wire.errors import TopicError
    from wire.topics import check_name

    try:
        return check_name(command, "command")
    except TopicError as error:
        raise CliError(error.detail, USAGE) from error


def _no_number(text: str) -> None:
    raise ValueError(text)
