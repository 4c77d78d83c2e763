"""``iothub pub``, ``query`` and ``logs``: values and log records in and out."""

from __future__ import annotations

import enum
import sys
from pathlib import Path  # noqa: TC003  typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.base import USAGE, CliError, open_state, options

if TYPE_CHECKING:
    from hub.api.schemas import QueryAnswer
    from hub.cli.client import Api, Params
    from wire.packets import PubAck

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Last = Annotated[str | None, typer.Option("--last", metavar="DURATION", help="How far back, e.g. 90s, 5m, 2h, 7d.")]
_Start = Annotated[str | None, typer.Option("--start", metavar="TIME", help="ISO 8601 or ms since 1970.")]
_Stop = Annotated[str | None, typer.Option("--stop", metavar="TIME", help="Not included; default: now.")]
#: Names shown where nothing was found.
_LISTED = 20
_CSV_TYPE = "text/csv"
_ARROW_TYPE = "application/vnd.apache.arrow.stream"


class Fn(enum.StrEnum):
    """Aggregates over each ``--every``."""

    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    COUNT = "count"
    STDDEV = "stddev"
    FIRST = "first"
    LAST = "last"


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(query)
    app.command()(pub)


def query(
    context: typer.Context,
    series: Annotated[
        str,
        typer.Argument(metavar="MEASUREMENT[.FIELD]", help="Both may be globs: cpu.usage, 'disk.*', '*.temperature'."),
    ],
    *,
    node: Annotated[str | None, typer.Option(help="Only this node; may be a glob.")] = None,
    last: _Last = None,
    start: _Start = None,
    stop: _Stop = None,
    every: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Aggregate over windows of this width, e.g. 1m.")
    ] = None,
    fn: Annotated[Fn, typer.Option(help="The aggregate.")] = Fn.MEAN,
    tag: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Only series with this tag.")] = None,
    as_json: _Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    arrow: Annotated[Path | None, typer.Option(metavar="FILE", help="Write an Arrow stream to FILE.")] = None,
) -> None:
    """Print stored values.

    The last 15 minutes unless told otherwise. For example:

    iothub query cpu.usage --last 5m
    """
    from hub.api.schemas import QueryAnswer
    from hub.cli.client import connected
    from hub.cli.output import print_json
    from hub.cli.timerange import assignments, range_ms, seconds

    if as_json + csv + (arrow is not None) > 1:
        raise CliError("give one of --json, --csv and --arrow", USAGE)
    measurement, field = split_series(series)
    start_ms, stop_ms = range_ms(last, start, stop, "15m")
    params: Params = {"measurement": measurement, "field": field, "start": start_ms, "stop": stop_ms}
    if node:
        params["node"] = node
    if every:
        params |= {"every": f"{seconds('--every', every)}s", "fn": fn.value}
    if tag:
        params |= {f"tag.{name}": value for name, value in assignments("--tag", tag).items()}
    with connected(options(context)) as api:
        if csv:
            _copy_csv(api, params)
        elif arrow is not None:
            _save_arrow(api, params, arrow)
        else:
            answer = api.get("/query", QueryAnswer, params)
            if as_json:
                print_json(answer)
            elif answer.rows:
                print_answer(answer)
            else:
                raise CliError(_nothing(api, series, measurement))


def pub(
    context: typer.Context,
    node: Annotated[str, typer.Argument(metavar="NODE", help="Publish in the name of this node.")],
    measurement: Annotated[str, typer.Argument(metavar="MEASUREMENT")],
    values: Annotated[
        list[str],
        typer.Argument(metavar="FIELD=VALUE…", help='A number, true, false or text; "21" with quotes is text.'),
    ],
    *,
    tag: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Tag of the values; repeatable.")] = None,
    ts: Annotated[str | None, typer.Option(metavar="TIME", help="ISO 8601 or ms since 1970; default: now.")] = None,
) -> None:
    """Publish values in the name of a node.

    Says what the broker answered. For example:

    iothub pub dev1 room temperature=21.5 door=true
    """
    import asyncio
    import json
    import time

    from hub.broker.credentials import for_operator
    from hub.cli.timerange import MS_PER_S, assignments, moment_ms, typed
    from hub.runfile import read_run
    from wire.errors import TopicError, WireError
    from wire.session import publish_once
    from wire.topics import Topics

    body: dict[str, object] = {
        "ts": moment_ms("--ts", ts) if ts else int(time.time() * MS_PER_S),
        "values": {name: typed(text) for name, text in assignments("value", values).items()},
    }
    if tag:
        body["tags"] = assignments("--tag", tag)
    settings = options(context).settings()
    try:
        topic = Topics(settings.mqtt.root).telemetry(node, measurement)
    except TopicError as error:
        raise CliError(error.detail, USAGE) from error
    paths = open_state(settings)
    running = read_run(paths.run)
    mqtt = for_operator(settings, paths, port=running.broker_port if running else None)
    payload = json.dumps(body, ensure_ascii=False).encode()
    try:
        answer = asyncio.run(publish_once(mqtt, topic, payload))
    except WireError as error:
        hint = "" if running else " No hub runs in this state directory; start it with `iothub up`."
        raise CliError(f"{error}.{hint}") from error
    _say_published(answer, topic, payload)


def split_series(text: str) -> tuple[str, str]:
    """Measurement and field of ``measurement.field``; all fields when there is no dot.

    The first dot divides: fields may have dots (objects flatten with them), measurements hardly ever do.
    """
    measurement, dot, field = text.partition(".")
    if not measurement or (dot and not field):
        raise CliError(f"{text!r} is not of the form MEASUREMENT.FIELD, such as cpu.usage or 'disk.*'", USAGE)
    return measurement, field or "*"


def print_answer(answer: QueryAnswer) -> None:
    """Print all samples in order of time."""
    from hub.cli.output import local_time, table, tags_text, value_text, zone_name

    several = len({(column.measurement, column.field) for column in answer.series}) > 1
    tagged = any(column.tags for column in answer.series)
    millis = any(
        "." in moment and not moment.split(".")[1].startswith("000") for c in answer.series for moment in c.times
    )
    rows = sorted(
        (
            (moment, column, value)
            for column in answer.series
            for moment, value in zip(column.times, column.values, strict=True)
        ),
        key=lambda row: (
            row[0][:19],
            row[0],
            row[1].node,
            row[1].measurement,
            row[1].field,
            sorted(row[1].tags.items()),
        ),
    )
    heads = [f"TIME ({zone_name()})", "NODE", *(["SERIES"] if several else []), "VALUE", *(["TAGS"] if tagged else [])]
    table(
        heads,
        [
            [
                local_time(moment, millis=millis),
                column.node,
                *([f"{column.measurement}.{column.field}"] if several else []),
                value_text(value),
                *([tags_text(column.tags)] if tagged else []),
            ]
            for moment, column, value in rows
        ],
        right=frozenset({heads.index("VALUE")}),
    )


def _copy_csv(api: Api, params: Params) -> None:
    with api.stream("/query", params, _CSV_TYPE) as response:
        for chunk in response.iter_text():
            sys.stdout.write(chunk)


def _save_arrow(api: Api, params: Params, file: Path) -> None:
    try:
        with api.stream("/query", params, _ARROW_TYPE) as response, file.open("wb") as target:
            for chunk in response.iter_bytes():
                target.write(chunk)
    except OSError as error:
        raise CliError(f"cannot write {file}: {error.strerror}") from error
    print(f"wrote {file} ({file.stat().st_size} bytes)", file=sys.stderr)


def _nothing(api: Api, asked: str, measurement: str) -> str:
    """Why there may be nothing, from what is stored."""
    from hub.api.schemas import Series
    from hub.cli.output import ago

    here = list(api.items("/series", Series, {"measurement": measurement}))
    if here:
        newest = max(here, key=lambda each: each.last)
        fields = ", ".join(sorted({f"{each.measurement}.{each.field}" for each in here})[:_LISTED])
        return f"no values of {asked} in this range. There are: {fields}; the newest value came {ago(newest.last)}."
    known = ", ".join(sorted({each.measurement for each in api.items("/series", Series)})[:_LISTED])
    stored = f"Stored are: {known}." if known else "Nothing is stored yet; `iothub tail` shows what arrives."
    return f"no values of {asked}. {stored}"


def _say_published(answer: PubAck, topic: str, payload: bytes) -> None:
    if answer.delivered:
        print(f"published to {topic}: {payload.decode()}")
        return
    if answer.nobody_subscribed:
        raise CliError(
            f"the broker took it and dropped it: nobody subscribes to {topic}. Is the hub running? iothub doctor"
        )
    raise CliError(f"the broker refused it: {answer}. Topic {topic}, {len(payload)} bytes.")
