"""``iothub rules``: list, show, check, test over history, switch on and off, reload."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.base import FAILED, USAGE, CliError, options

if TYPE_CHECKING:
    from hub.api.schemas_rules import BacktestAnswer
    from hub.rules.check import Checked
    from hub.rules.files import Entry

group = typer.Typer(
    help="Rules: what is watched for.", invoke_without_command=True, no_args_is_help=False, rich_markup_mode=None
)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Name = Annotated[str, typer.Argument(metavar="RULE", help="Name of a rule.")]
#: Intervals of a test that are shown.
_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(group, name="rules")


@group.callback()
def rules(context: typer.Context) -> None:
    """Rules: what is watched for in what arrives. Without a command: list them."""
    if context.invoked_subcommand is None:
        list_rules(context)


@group.command("list")
def list_rules(context: typer.Context, as_json: _Json = False) -> None:
    """List all rules."""
    from hub.api.schemas_rules import RuleView
    from hub.cli.client import connected
    from hub.cli.output import print_json, table

    with connected(options(context)) as api:
        found = list(api.items("/rules", RuleView))
    if as_json:
        print_json(found)
        return
    table(
        ("RULE", "FROM", "ON", "ASKS"),
        [(view.name, view.source, "on" if view.enabled else "off", view.asks) for view in found],
    )


@group.command()
def show(context: typer.Context, name: _Name, as_json: _Json = False) -> None:
    """Show one rule as it would stand in the rules file."""
    from urllib.parse import quote

    from hub.api.schemas_rules import RuleView
    from hub.cli.client import connected
    from hub.cli.output import print_json
    from hub.rules.book import as_toml

    with connected(options(context)) as api:
        found = api.get(f"/rules/{quote(name, safe='')}", RuleView)
    if as_json:
        print_json(found)
    else:
        print(as_toml(found.name, found.rule), end="")


@group.command()
def check(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Rules and tests; default: the hub's rules file.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Check a rules file and run the tests in it; the hub need not run.

    A [[tests]] table has made-up series and the events that they should bring about, see docs/rules.md. Exit code 1
    when a test fails, 2 when a rule is wrong.
    """
    from dataclasses import asdict

    from hub.cli.output import print_json
    from hub.rules.check import read_all, run_test
    from hub.rules.files import rules_file

    settings = options(context).settings()
    path = file or rules_file(settings)
    if not path.exists():
        if file is not None:
            raise CliError(f"there is no file {path}", USAGE)
        print(f"There is no rules file yet ({path}): the rules that come with iothub hold.")
        return
    entries, tests = read_all(path, shipped=settings.rules.shipped)
    results = [run_test(test, entries) for test in tests]
    if as_json:
        print_json([asdict(result) for result in results])
    else:
        _print_checked(path, entries, results)
    if any(result.faults for result in results):
        raise typer.Exit(FAILED)


@group.command("test")
def over_history(
    context: typer.Context,
    name: _Name,
    *,
    last: Annotated[
        str | None, typer.Option("--last", metavar="DURATION", help="How far back, e.g. 6h; default: 7d.")
    ] = None,
    start: Annotated[str | None, typer.Option("--start", metavar="TIME", help="ISO 8601 or ms since 1970.")] = None,
    stop: Annotated[str | None, typer.Option("--stop", metavar="TIME", help="Not included; default: now.")] = None,
    node: Annotated[str | None, typer.Option("--node", metavar="GLOB", help="Only these nodes.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Take the rule from this file, not from the hub.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Run a rule over what is stored: how often it would have fired, when, how long."""
    from hub.api.schemas_rules import BacktestAnswer, BacktestRequest
    from hub.cli.client import connected
    from hub.cli.output import print_json
    from hub.cli.timerange import range_ms
    from hub.rules.files import read_rules

    start_ms, stop_ms = range_ms(last, start, stop, "7d")
    table = None
    if file is not None:
        if not file.exists():
            raise CliError(f"there is no file {file}", USAGE)
        entries = read_rules(file)
        if name not in entries:
            raise CliError(f"{file} has no rule {name}; it has {', '.join(entries)}", USAGE)
        table = dict(entries[name].table)
    wanted = BacktestRequest(name=name, rule=table, start=str(start_ms), stop=str(stop_ms), node=node)
    with connected(options(context)) as api:
        found = api.post("/rules/test", wanted, BacktestAnswer)
    if as_json:
        print_json(found)
    else:
        _print_backtest(found)


@group.command()
def enable(context: typer.Context, name: _Name) -> None:
    """Switch a rule on."""
    _switch(context, name, on=True)


@group.command()
def disable(context: typer.Context, name: _Name) -> None:
    """Switch a rule off; what it had firing is resolved."""
    _switch(context, name, on=False)


@group.command()
def reload(context: typer.Context) -> None:
    """Take what the rules file says now."""
    from hub.api.schemas import Page
    from hub.api.schemas_rules import RuleView
    from hub.cli.client import connected

    with connected(options(context)) as api:
        found = api.post("/rules/reload", None, Page[RuleView])
    on = sum(view.enabled for view in found.items)
    print(f"{found.total} rules, {on} of them on.")


# -- private ----------------------------------------------------------------------------------------------------------


def _switch(context: typer.Context, name: str, *, on: bool) -> None:
    from urllib.parse import quote

    from hub.api.schemas_rules import RuleView
    from hub.cli.client import connected

    path = f"/rules/{quote(name, safe='')}"
    with connected(options(context)) as api:
        found = api.get(path, RuleView)
        if found.enabled is on:
            print(f"{name} is {'on' if on else 'off'} already.")
            return
        table = {"enabled": on} if found.source == "shipped" else {**found.rule, "enabled": on}
        api.put(path, table, RuleView)
    print(f"{name} is {'on' if on else 'off'}.")


def _print_checked(path: Path, entries: dict[str, Entry], results: list[Checked]) -> None:
    from hub.cli.output import paint
    from hub.rules.files import Source

    for result in results:
        print(f"{paint('failed' if result.faults else 'ok')}  {result.name} ({result.rule})")
        for fault in result.faults:
            print(f"        {fault}")
    own = sum(entry.source is not Source.SHIPPED for entry in entries.values())
    failed = sum(bool(result.faults) for result in results)
    tests = f"{_counted(len(results), 'test')}, {failed} failed" if results else "no tests"
    print(f"{path}: {_counted(own, 'rule')}, {tests}.")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _print_backtest(found: BacktestAnswer) -> None:
    from hub.cli.output import duration, local_time, paint, table

    span = f"from {local_time(found.start)} to {local_time(found.stop)}"
    print(
        f"{found.name} {span}: {_counted(found.samples, 'sample')}, "
        f"would have fired {_counted(found.fired, 'time')}, for {duration(found.firing_s)} in all"
        + (f"; {_counted(found.cancelled, 'time')} not for long enough" if found.cancelled else "")
        + "."
    )
    if len(found.subjects) > 1:
        table(
            ("NODE", "SERIES", "FIRED", "FOR"),
            [(each.node, each.series, str(each.fired), duration(each.firing_s)) for each in found.subjects[:_SHOWN]],
            right=frozenset({2, 3}),
        )
    rows = [
        (local_time(each.start), local_time(each.stop) if each.stop else "still", paint(each.severity), each.message)
        for each in found.intervals[-_SHOWN:]
    ]
    if rows:
        table(("FROM", "TO", "WORST", "MESSAGE"), rows)
    if len(found.intervals) > _SHOWN:
        print(f"The last {_SHOWN} of {found.fired}; all with --json.")
