"""How ``iothub send``, ``commands`` and ``fleet`` show commands."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

from hub.cli.base import FAILED
from hub.cli.output import local_time, pairs, parse_time, print_json, table
from hub.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.api.schemas_commands import Command, FleetRun, OutputChunk
    from hub.api.schemas_live import LiveCommand

FINAL: Final = frozenset({"done", "failed", "refused", "timeout", "expired", "unsent", "unanswered"})
_WORST_CODE: Final = 255
_BY_SIGNAL: Final = 128
_LONGEST_CELL: Final = 200


class Printer:
    """Prints the output of one command as it comes, each piece once."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._chunks: list[dict[str, Any]] = []
        #: Number of the newest reply that was seen without a hole before it.
        self._n = -1
        self._bytes = 0
        self._said_left_out = False
        self.ended = False

    def event(self, event: LiveCommand) -> bool:
        """Take an event; False when something before it was missed."""
        self.ended = event.state in FINAL
        if event.n is None or event.n <= self._n:
            return True
        if event.n != self._n + 1:
            return False
        self._n = event.n
        if event.data is not None:
            self._print(event.n, event.at, event.stream or "stdout", event.data)
        return True

    def lacks(self, command: Command) -> bool:
        """Whether the hub has output that was not printed."""
        return command.output_bytes > self._bytes and not self._said_left_out

    def chunk(self, chunk: OutputChunk) -> None:
        """Take a piece that the hub has kept."""
        if chunk.n > self._n:
            self._n = chunk.n
            self._print(chunk.n, chunk.at, chunk.stream, chunk.data)

    def left_out(self, command: Command) -> None:
        """Say that not all can be shown."""
        if self.lacks(command):
            self._said_left_out = True
            self._note(f"{command.output_bytes - self._bytes} bytes of output are not kept and are left out here")

    def end(self, command: Command) -> int:
        """Print what became of it; the exit code."""
        if self._quiet:
            print_json({**command.model_dump(mode="json"), "output": self._chunks})
            return exit_code(command)
        sys.stdout.flush()
        if isinstance(command.result, dict) and command.state == "done" and not self._chunks:
            pairs({printable(name): _short(value) for name, value in command.result.items()})
        if command.state != "done" or (command.code or 0) != 0 or (not command.result and not self._chunks):
            self._note(_outcome(command))
        return exit_code(command)

    def _print(self, n: int, at: str, stream: str, data: str) -> None:
        self._bytes += len(data.encode("utf-8", "surrogatepass"))
        self._chunks.append({"n": n, "at": at, "stream": stream, "data": data})
        if self._quiet:
            return
        out = sys.stderr if stream == "stderr" else sys.stdout
        out.write(_safe(data) if out.isatty() else data)
        out.flush()

    def _note(self, text: str) -> None:
        print(f"-- {text}", file=sys.stderr, flush=True)


def exit_code(command: Command) -> int:
    """The command's own where it was done or says one; 1 where it was not done."""
    code = command.code or 0
    if code < 0:
        code = _BY_SIGNAL - code  # as shells say it: 128 and the signal's number
    if code:
        return min(code, _WORST_CODE)
    return 0 if command.state == "done" else FAILED


def progress_line(run: FleetRun) -> None:
    """One line about a run, in place on a terminal."""
    if sys.stderr.isatty():
        counts = ", ".join(f"{n} {state}" for state, n in sorted(run.states.items()))
        print(f"\r\x1b[K-- stage {run.stage} of {len(run.stages)}: {counts}", end="", file=sys.stderr, flush=True)


def print_many(run: FleetRun, commands: Sequence[Command], *, as_json: bool) -> None:
    """One table of what became of a run."""
    if as_json:
        print_json({**run.model_dump(mode="json"), "commands": [each.model_dump(mode="json") for each in commands]})
        return
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    rows = sorted(commands, key=lambda each: each.node)
    if rows:
        table(("NODE", "STATE", "CODE", "TOOK", "RESULT"), [_row(each) for each in rows], right=frozenset({2, 3}))
    counts = ", ".join(f"{n} {state}" for state, n in sorted(run.states.items()))
    left = run.nodes - sum(run.states.values())
    print(f"{run.nodes} nodes: {counts or 'none yet'}" + (f"; {left} not begun" if left else ""))
    if run.state == "stopped":
        print(f"stopped: {printable(run.why)}")


def print_list(commands: Sequence[Command]) -> None:
    """Commands, one a line."""
    table(
        ("REQUESTED", "NODE", "COMMAND", "STATE", "BY", "ID", "RESULT"),
        [
            (local_time(c.requested), c.node, c.command or "?", c.state, sender_text(c), c.id, _result(c))
            for c in commands
        ],
    )


def print_command(command: Command) -> None:
    """One command, all of it."""
    values = {
        "id": command.id,
        "node": command.node,
        "command": f"{command.command or '?'} {_short(command.args) if command.args else ''}".rstrip(),
        "state": f"{command.state} (says the {command.state_by})",
        "by": sender_text(command),
        "requested": local_time(command.requested, millis=True),
    }
    for name in ("expires", "sent", "accepted", "ended"):
        moment = getattr(command, name)
        values[name] = local_time(moment, millis=True) if moment else "-"
    if command.code is not None:
        values["exit code"] = str(command.code)
    if command.error:
        values["error"] = command.error
    elif command.result is not None:
        values["result"] = _short(command.result)
    if command.output_bytes:
        values["output"] = f"{command.output_bytes} bytes in {command.output_chunks} pieces" + (
            "" if command.output_whole else ", the end of it is not kept"
        )
        values["output digest"] = command.output_sha256
    if command.repeats:
        values["seen again"] = "once" if command.repeats == 1 else f"{command.repeats} times"
    pairs({name: printable(value) for name, value in values.items()})


def sender_text(command: Command) -> str:
    """Who sent it, as far as that is known, and how."""
    who = command.sender
    if who.signer is not None:
        word = {True: "signed", False: "signature wrong", None: "signature not checked"}[who.verified]
        signer = f"{who.signer} ({word})"
        return f"{who.user}, {signer}" if who.user else signer
    if who.user is not None:
        return who.user
    if who.claimed is not None:
        return f"says {who.claimed!r}"
    return "somebody on MQTT" if command.origin == "mqtt" else "unknown"


def _row(command: Command) -> tuple[str, str, str, str, str]:
    took = "-"
    if command.ended is not None:
        seconds = (parse_time(command.ended) - parse_time(command.requested)).total_seconds()
        took = f"{seconds:.2f} s"
    return (command.node, command.state, "-" if command.code is None else str(command.code), took, _result(command))


def _result(command: Command) -> str:
    if command.error:
        return command.error[:_LONGEST_CELL]
    return _short(command.result)[:_LONGEST_CELL] if command.result else ""


def _outcome(command: Command) -> str:
    code = f", exit code {command.code}" if command.code is not None else ""
    return printable(f"{command.state}{code}" + (f": {command.error}" if command.error else ""))


def _short(value: object) -> str:
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _safe(text: str) -> str:
    """For a terminal: nothing that a node writes may steer it."""
    return "\n".join("\t".join(printable(part) for part in line.split("\t")) for line in text.split("\n"))
