"""``iothub tail``, ``logs`` and ``watch``: what happens now."""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.base import USAGE, CliError, options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.api.schemas import LogRecord
    from hub.api.schemas_live import LiveMessage, LiveNode, LivePoint
    from hub.cli.client import Params

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
_REMEMBERED = 10_000


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(tail)
    app.command()(watch)
    app.command()(logs)


def tail(
    context: typer.Context,
    *,
    node: Annotated[str | None, typer.Option(help="Only this node; may be a glob.")] = None,
    measurement: Annotated[str | None, typer.Option(help="Only this measurement; may be a glob.")] = None,
    refused: Annotated[bool, typer.Option("--refused", help="Only messages that were refused.")] = False,
    as_json: _Json = False,
) -> None:
    """Show live messages and what became of each.

    Stored, duplicate, handled (births and the like), or refused and why. Ctrl-C ends it.
    """
    from hub.api.schemas_live import LiveMessage, LiveNode, LiveReady, LiveSkipped, LiveSubscribe
    from hub.cli.stream import Feed

    wanted = LiveSubscribe(node=node, measurement=measurement, types=["message"] if refused or measurement else None)
    try:
        for event in Feed(options(context), wanted, note).events():
            if isinstance(event, LiveReady):
                note("live messages; Ctrl-C ends")
            elif isinstance(event, LiveSkipped):
                note(f"{event.n} messages left out here: they come faster than this terminal takes them")
            elif isinstance(event, LiveMessage | LiveNode) and is_wanted(event, refused=refused):
                print(event.model_dump_json() if as_json else event_line(event), flush=True)
    except KeyboardInterrupt:
        return


def logs(
    context: typer.Context,
    *,
    node: Annotated[str | None, typer.Option(help="Only this node; may be a glob.")] = None,
    level: Annotated[str | None, typer.Option(metavar="LEVEL", help="This level and worse, e.g. warning.")] = None,
    source: Annotated[str | None, typer.Option(help="Only this source, e.g. a program.")] = None,
    text: Annotated[str | None, typer.Option(help="Only messages that contain this text.")] = None,
    last: Annotated[str | None, typer.Option(metavar="DURATION", help="How far back; default: 1h.")] = None,
    start: Annotated[str | None, typer.Option(metavar="TIME", help="ISO 8601 or ms since 1970.")] = None,
    stop: Annotated[str | None, typer.Option(metavar="TIME", help="Not included; default: now.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what arrives; Ctrl-C ends it.")] = False,
    as_json: _Json = False,
) -> None:
    """Print log records of the nodes.

    Oldest first; the last hour unless told otherwise.
    """
    from hub.api.schemas import LogRecord
    from hub.cli.client import connected
    from hub.cli.output import print_json_line
    from hub.cli.timerange import range_ms
    from wire.formats.logs import LEVELS

    if level is not None and level not in LEVELS:
        raise CliError(f"--level {level!r}: is none of {', '.join(LEVELS)}", USAGE)
    if follow and stop:
        raise CliError("--follow goes on for ever: it takes no --stop", USAGE)
    start_ms, stop_ms = range_ms(last, start, stop, "1h")
    chosen: Params = {k: v for k, v in {"node": node, "level": level, "source": source, "text": text}.items() if v}
    show = print_json_line if as_json else _print_record
    with connected(options(context)) as api:
        records = list(api.items("/logs", LogRecord, chosen | {"start": start_ms, "stop": stop_ms}))
    for record in reversed(records):
        show(record)
    if follow:
        try:
            for record in _arriving(context, chosen, records):
                show(record)
        except KeyboardInterrupt:
            return
    elif not records and not as_json:
        note("no log records in this range")


def watch(
    context: typer.Context,
    node: Annotated[str, typer.Argument(metavar="NODE", help="Node id.")],
    once: Annotated[bool, typer.Option("--once", help="Print one frame and end.")] = False,
) -> None:
    """Watch one node, refreshed in place.

    CPU, memory, disks, bit rates of every interface, temperatures; other values as they are. Ctrl-C ends it.
    """
    from hub.cli.watching import run_watch

    run_watch(options(context), node, once=once)


def note(text: str) -> None:
    """A remark to the person, apart from the output."""
    print(f"-- {text}", file=sys.stderr, flush=True)


def is_wanted(event: LiveMessage | LiveNode, *, refused: bool) -> bool:
    """Whether ``tail`` shows it. The broker's own figures, which the hub watches, are nobody's messages."""
    from hub.api.schemas_live import LiveMessage

    if isinstance(event, LiveMessage):
        return event.outcome == "refused" if refused else not event.topic.startswith("$SYS/")
    return not refused


def event_line(event: LiveMessage | LiveNode) -> str:
    """One line for one event."""
    from hub.api.schemas_live import LiveMessage

    return message_line(event) if isinstance(event, LiveMessage) else node_line(event)


def message_line(message: LiveMessage) -> str:
    """One line for one message."""
    from hub.cli.output import local_time, paint, terminal_width
    from hub.text import printable, shortened

    what = _why(message) if message.reason else "; ".join(map(point_text, message.points))
    where = message.topic if message.reason or message.outcome == "handled" else message.node or message.topic
    start = f"{local_time(message.at, millis=True)[11:]}  {message.outcome:<9}  "
    line = start + printable(f"{where}  {what}".rstrip())
    # Values may be cut; why something was refused may not.
    width = None if message.reason else terminal_width()
    return (shortened(line, width) if width else line).replace(message.outcome, paint(message.outcome), 1)


def _why(message: LiveMessage) -> str:
    detail = message.detail or ""
    return detail if detail.startswith(f"{message.reason}:") else f"{message.reason}: {detail}"


def node_line(event: LiveNode) -> str:
    """One line for a node that came or went."""
    from hub.cli.output import duration, local_time, paint
    from hub.text import printable

    stayed = f" after {duration(event.duration_s)}" if event.duration_s is not None else ""
    text = (
        f"{local_time(event.at, millis=True)[11:]}  {event.change:<9}  {event.node}  {printable(event.reason)}{stayed}"
    )
    return text.replace(event.change, paint(event.change), 1)


def point_text(point: LivePoint) -> str:
    """A point as ``measurement[tags] field=value …``."""
    from hub.cli.output import tags_text, value_text

    tags = f"[{tags_text(point.tags)}]" if point.tags else ""
    return f"{point.measurement}{tags} " + " ".join(
        f"{name}={value_text(value)}" for name, value in point.fields.items()
    )


def _arriving(context: typer.Context, chosen: Params, shown: list[LogRecord]) -> Iterator[LogRecord]:
    """New records: a live message says that there are some, the API says which."""
    from hub.api.schemas import LogRecord
    from hub.api.schemas_live import LiveMessage, LiveSubscribe
    from hub.cli.client import connected
    from hub.cli.stream import Feed
    from wire.point import LOG_MEASUREMENT

    node = chosen.get("node")
    wanted = LiveSubscribe(node=str(node) if node else None, measurement=LOG_MEASUREMENT, types=["message"])
    seen = deque((record.model_dump_json() for record in shown), maxlen=_REMEMBERED)
    for event in Feed(options(context), wanted, note).events():
        if not isinstance(event, LiveMessage) or event.outcome != "stored" or not event.points:
            continue
        oldest = min(point.time for point in event.points)
        # Looked up anew: after a restart the hub may answer on another port.
        with connected(options(context)) as api:
            records = list(api.items("/logs", LogRecord, chosen | {"start": oldest}))
        for record in reversed(records):
            text = record.model_dump_json()
            if text not in seen:
                seen.append(text)
                yield record


def _print_record(record: LogRecord) -> None:
    from hub.cli.output import local_time, paint, tags_text, value_text
    from hub.text import printable

    fields = tags_text({name: value_text(value) for name, value in record.fields.items()})
    text = f"{record.node}  {record.source or '-'}  {record.message}" + (f"  {fields}" if fields else "")
    print(
        f"{local_time(record.time, millis=True)}  {paint(record.level, f'{record.level:<8}')}  {printable(text)}",
        flush=True,
    )
