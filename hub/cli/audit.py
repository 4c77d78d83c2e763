"""``iothub audit``: the journal of commands: its end, its rows, and whether they are what they were."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hub.cli.base import FAILED, USAGE, CliError, open_state, options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hub.api.schemas_commands import AuditRow
    from hub.cli.base import Options
    from hub.commands.journal import Finding, Head, Row

group = typer.Typer(
    help="The journal of commands: verify it, list it.", invoke_without_command=True, rich_markup_mode=None
)

_PAGE: Final = 1000
_NOTED: Final = re.compile(r"(\d{1,18}):([0-9a-f]{64})")

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(group, name="audit")


@group.callback()
def audit(context: typer.Context, as_json: _Json = False) -> None:
    """Show where the journal of commands ends. `verify` checks every row, `list` prints them."""
    if context.invoked_subcommand is not None:
        return
    from hub.api.schemas_commands import AuditHead
    from hub.cli.client import connected
    from hub.cli.output import print_json

    with connected(options(context)) as api:
        head = api.get("/audit/head", AuditHead)
    if as_json:
        print_json(head)
    else:
        print(f"{head.number}:{head.digest}")


@group.command()
def verify(
    context: typer.Context,
    noted: Annotated[
        str | None, typer.Option("--noted", metavar="N:DIGEST", help="A head that was noted before and kept elsewhere.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Compute every digest of the journal anew.

    Names the first row that was changed, removed or put elsewhere; exit code 1 then. Works with and without a running
    hub. Whoever can write to the file could also make all digests anew, or cut off the end: against that, keep the head
    that this prints in another place, and give it back with --noted.
    """
    from hub.cli.output import print_json
    from hub.commands.journal import Head

    known = None
    if noted is not None:
        parts = _NOTED.fullmatch(noted)
        if parts is None:
            raise CliError(f"--noted {noted!r}: is not a number, a colon and 64 hexadecimal digits", USAGE)
        known = Head(int(parts[1]), parts[2])
    found = _verified(options(context), known)
    if as_json:
        print_json(
            {
                "ok": found.broken_at is None,
                "rows": found.rows,
                "broken_at": found.broken_at,
                "why": found.why or None,
                "head": {"number": found.head.number, "digest": found.head.digest},
            }
        )
    elif found.broken_at is None:
        print(f"{found.rows} rows, all as they were written. Head, to be kept elsewhere:")
        print(f"{found.head.number}:{found.head.digest}")
    else:
        print(f"Row {found.broken_at} is not what was written: {found.why}.")
        print(f"The {found.rows} rows before it hold.")
    if found.broken_at is not None:
        raise typer.Exit(FAILED)


@group.command("list")
def list_rows(
    context: typer.Context,
    after: Annotated[int, typer.Option(min=0, metavar="N", help="From the row after this one on.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="How many at most; all when left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Print rows of the journal, oldest first."""
    from datetime import UTC, datetime
    from itertools import islice

    from hub.cli.client import connected
    from hub.cli.output import local_time, print_json_line
    from hub.text import printable
    from wire.point import NS_PER_S

    with connected(options(context)) as api:
        for row in islice(_rows(lambda at: _page(api.get, at), after), limit):
            if as_json:
                print_json_line(row)
                continue
            moment = local_time(datetime.fromtimestamp(row.at_ns / NS_PER_S, UTC).isoformat())
            what = printable(f"{row.node or '-'}  {row.id}  {row.facts}")
            print(f"{row.number:>8}  {moment}  {row.kind:<12}  {what}")


# -- private ----------------------------------------------------------------------------------------------------------


def _verified(given: Options, noted: Head | None) -> Finding:
    """By the hub's API while it runs, whose answers are checked here; else in the file."""
    from hub.api.schemas_commands import AuditHead
    from hub.cli.client import connected
    from hub.commands.journal import Head, Row, verified
    from hub.runfile import read_run

    settings = given.settings()
    paths = open_state(settings)
    if read_run(paths.run) is None:
        return _verified_file(paths.commands, noted)
    with connected(given) as api:
        head = api.get("/audit/head", AuditHead)
        rows: Iterator[Row] = (
            Row(**row.model_dump()) for row in _rows(lambda at: _page(api.get, at), 0) if row.number <= head.number
        )
        return verified(rows, head=Head(head.number, head.digest), noted=noted)


def _verified_file(path: Path, noted: Head | None) -> Finding:
    import sqlite3

    from hub.commands.book import verified_file

    if not path.exists():
        raise CliError(f"there is no journal yet: {path} is not there, and no hub runs here")
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        try:
            return verified_file(connection, noted)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise CliError(f"cannot read {path}: {error}") from error


def _page(get: Any, after: int) -> list[AuditRow]:
    from hub.api.schemas import Page
    from hub.api.schemas_commands import AuditRow as Row

    page: Page[Row] = get("/audit", Page[Row], {"after": after, "limit": _PAGE})
    return page.items


def _rows(page: Callable[[int], list[AuditRow]], after: int) -> Iterator[AuditRow]:
    while found := page(after):
        yield from found
        after = max(row.number for row in found)
