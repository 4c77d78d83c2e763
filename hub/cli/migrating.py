"""``iothub influx migrate`` and ``rollup``: a progress bar where there is a terminal, and what was found."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hub import log
from hub.cli.base import FAILED, CliError, state_paths
from hub.cli.output import paint, print_json, table
from hub.config import LogSettings
from hub.influx.again import roll_up_again
from hub.influx.migrate import Migration, Watcher
from hub.influx.steps import SetupFailed
from hub.influx.verify import compare
from hub.store.base import QueryError, StoreError
from hub.text import printable
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from hub.config import Settings
    from hub.influx.migrate import Moved
    from hub.influx.verify import Verdict

#: Differences shown.
_SHOWN: Final = 20


def run_migrate(settings: Settings, *, again: bool, as_json: bool) -> int:
    """Move and compare; the exit code.

    Raises:
        CliError: it cannot begin or go on; the text says what to do.
    """
    log.configure(LogSettings(level="error"))
    try:
        moved, verdict, refused_file = asyncio.run(_run(settings, again=again))
    except (StoreError, OSError) as error:
        raise CliError(str(error)) from error
    except KeyboardInterrupt as error:
        raise CliError("stopped. Run it again: it goes on where it was.") from error
    if as_json:
        print_json(_plain(moved, verdict))
    else:
        _print(moved, verdict, refused_file)
    return FAILED if verdict.differences else 0


def run_rollup(settings: Settings, start_ns: int, stop_ns: int) -> None:
    """Make windows of roll-ups again, with a progress bar.

    Raises:
        CliError: it cannot begin or go on; the text says what to do.
    """
    with _bar() as bar:
        task = bar.add_task("opening", total=None)
        try:
            names = asyncio.run(
                roll_up_again(
                    settings,
                    start_ns,
                    stop_ns,
                    lambda done, total, what: bar.update(task, completed=done, total=total, description=what),
                )
            )
        except (SetupFailed, StoreError) as error:
            raise CliError(str(error)) from error
        except KeyboardInterrupt as error:
            raise CliError("stopped. What was made is right; run it again for the rest.") from error
    print(f"made again: {' and '.join(names)}, from {_minute(start_ns)} to {_minute(stop_ns)} UTC")


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )


async def _run(settings: Settings, *, again: bool) -> tuple[Moved, Verdict, str]:
    with _bar() as bar:
        task = bar.add_task("opening", total=None)

        def progress(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=what)

        def say(text: str) -> None:
            bar.stop()
            print(f"iothub: {printable(text)}", file=sys.stderr)
            bar.start()

        async with Migration(settings, state_paths(settings), Watcher(progress, say), again=again) as migration:
            moved = await migration.move()
            bar.add_task("comparing", total=None)
            try:
                return moved, await compare(migration), migration.refused_file
            except QueryError as error:
                raise CliError(f"all is moved, but the counts cannot be compared: {error}") from error


def _print(moved: Moved, verdict: Verdict, refused_file: str) -> None:
    if moved.rows or moved.rollup_rows:
        print(f"moved {moved.rows} values and log records, {moved.rollup_rows} rows of roll-ups")
    else:
        print("nothing to move: all of it was moved before")
    if moved.refused:
        print(
            f"{paint('refused')} {moved.refused}, with the reasons in {refused_file}; the embedded store still has them"
        )
    counted = f"{verdict.expected} values and log records of {verdict.series} series"
    if verdict.rollup_rows:
        counted += f", {verdict.rollup_rows} rows of roll-ups"
    if not verdict.differences:
        print(f"{paint('ok')} InfluxDB has all of them: {counted}, counted by series and day")
        return
    print(f"{paint('failed')} InfluxDB lacks some of {counted}:")
    rows = [
        [each.node, each.series, _day(each.day_ns), str(each.expected), str(each.found)]
        for each in verdict.differences[:_SHOWN]
    ]
    table(["NODE", "SERIES", "DAY (UTC)", "EXPECTED", "FOUND"], rows, right=frozenset({3, 4}))
    if len(verdict.differences) > _SHOWN:
        print(f"and {len(verdict.differences) - _SHOWN} more")
    print(
        "Was something deleted there, or its retention shortened? `iothub influx migrate --again` moves all once more."
    )


def _plain(moved: Moved, verdict: Verdict) -> dict[str, Any]:
    return {
        "rows": moved.rows,
        "rollup_rows": moved.rollup_rows,
        "refused": moved.refused,
        "series": verdict.series,
        "expected": verdict.expected,
        "rollup_rows_expected": verdict.rollup_rows,
        "differences": [
            {
                "node": each.node,
                "series": each.series,
                "day": None if each.day_ns is None else _day(each.day_ns),
                "expected": each.expected,
                "found": each.found,
            }
            for each in verdict.differences
        ],
    }


def _day(day_ns: int | None) -> str:
    return "all" if day_ns is None else f"{datetime.fromtimestamp(day_ns / NS_PER_S, UTC):%Y-%m-%d}"


def _minute(ts_ns: int) -> str:
    return f"{datetime.fromtimestamp(ts_ns / NS_PER_S, UTC):%Y-%m-%d %H:%M}"
