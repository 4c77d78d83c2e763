"""The roll-ups of 2.x as Flux, the only language its tasks have. Pure; nothing else here speaks Flux.

A task of its own for each roll-up makes the windows of its last minutes or hours anew, so that rows that come a little
late are in them; booleans, texts and the log are left out. Fields are named as InfluxQL's ``SELECT mean(*)`` would.
The organisation is the one of the task, or of the request.
(Flux documentation: ``aggregateWindow``, ``to``, "Define task options".)
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from hub.store.influx_layout import ROLLED_UP
from wire.point import LOG_MEASUREMENT, NS_PER_S

if TYPE_CHECKING:
    from hub.influx.wanted import Wanted, WantedRollUp

#: After the window's end: batches that are on their way arrive.
_OFFSET: Final = "10s"
_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def task_name(chosen: Wanted, rollup: WantedRollUp) -> str:
    """Names are the only way to know a task again."""
    return f"iothub {chosen.database} {rollup.name}"


def task(chosen: Wanted, rollup: WantedRollUp) -> str:
    """The program of a task."""
    name = quoted(task_name(chosen, rollup))
    options = f"option task = {{name: {name}, every: {rollup.every}, offset: {_OFFSET}}}"
    return _program(chosen, rollup, options, f"start: -{rollup.back}")


def made_once(chosen: Wanted, rollup: WantedRollUp, start_ns: int, stop_ns: int) -> str:
    """A program that makes the windows of a span of time; its ends are full windows."""
    return _program(chosen, rollup, "", f"start: {_time(start_ns)}, stop: {_time(stop_ns)}")


def quoted(text: str) -> str:
    """A text of Flux; ``${`` would begin an expression."""
    escaped = text.translate(_ESCAPES).replace("${", "\\${")
    return f'"{escaped}"'


# -- private ----------------------------------------------------------------------------------------------------------


def _program(chosen: Wanted, rollup: WantedRollUp, options: str, span: str) -> str:
    samples, into = chosen.bucket(chosen.retention_policy), chosen.bucket(rollup.name)
    is_number = 'types.isType(v: r._value, type: "float")'
    calls = "\n".join(f"made(name: {quoted(fn)}, fn: {fn})" for fn in ROLLED_UP)
    return f"""import "types"
{options}
samples =
    from(bucket: {quoted(samples)})
        |> range({span})
        |> filter(fn: (r) => r._measurement != {quoted(LOG_MEASUREMENT)} and {is_number})

made = (name, fn) =>
    samples
        |> aggregateWindow(every: {rollup.every}, fn: fn, createEmpty: false, timeSrc: "_start")
        |> map(fn: (r) => ({{r with _field: name + "_" + r._field}}))
        |> to(bucket: {quoted(into)})
        |> yield(name: name)

{calls}
"""


def _time(ts_ns: int) -> str:
    return datetime.fromtimestamp(ts_ns // NS_PER_S, UTC).isoformat().replace("+00:00", "Z")
