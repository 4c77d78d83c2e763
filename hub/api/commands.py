"""``/nodes/{node}/commands/{command}`` and ``/commands``: send, look at, cancel."""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Annotated, Final

import msgspec
import structlog
from fastapi import APIRouter, Path, Query, Response

from hub.api.auth import OperatingCaller, RequiredCaller
from hub.api.commandviews import body_of, command_view, commanding_of, no_such_node, not_yours, row_view
from hub.api.parts import Parts, PartsOf
from hub.api.problems import ProblemError, wrong_parameter
from hub.api.requests import Glob, NumberedPlace, PageCursor, PageLimit, Text, from_cursor, to_cursor
from hub.api.schemas import Page
from hub.api.schemas_commands import AuditRow, Command, CommandRequest, CommandState, OutputChunk
from hub.api.times import iso, parse_time
from hub.commands import model, tables
from hub.commands.rights import may_command
from hub.commands.sender import IdTaken, TooManyOpen, Wanted
from hub.nodes.callers import Caller
from hub.nodes.model import Contact, NodeRow
from wire.topics import check_name

router = APIRouter(tags=["commands"])

_MAX_ROWS: Final = 1000
_RETRY_S: Final = 5

_log: Final = structlog.get_logger("hub.api")

_Id = Annotated[str, Path(min_length=1, max_length=128)]
_OfNode = Annotated[str | None, Query(max_length=64, description="needed where several nodes had a command of this id")]
_Wait = Annotated[float, Query(ge=0, le=60, description="seconds to wait for its end; then the answer is 200")]


class _After(msgspec.Struct, frozen=True, array_like=True):
    """Place in rising numbers."""

    number: int


@router.post("/nodes/{node}/commands/{command}", status_code=202)
async def send_command(
    node: str,
    command: str,
    parts: PartsOf,
    caller: OperatingCaller,
    response: Response,
    *,
    wanted: CommandRequest | None = None,
    wait: _Wait = 0,
) -> Command:
    """Send a command to a node: 202 once it is recorded and with the broker, 200 where it has ended meanwhile."""
    commanding = commanding_of(parts)
    if not caller.may_see(node):
        raise no_such_node(node)
    if not may_command(caller, node):
        raise not_yours(caller, node)
    row = await parts.registry.node(node)
    if row is None:
        raise no_such_node(node)
    check_name(command, "command")
    _check_known(row, command, parts)
    body = body_of(wanted or CommandRequest(), parts)
    stirred = commanding.stirred()
    try:
        sent = await commanding.sender.send_one(Wanted(node, command, body, caller.user))
    except IdTaken as error:
        raise ProblemError(409, f"{error}; leave the id out, or take another.", kind="id-taken") from error
    except TooManyOpen as error:
        headers = {"Retry-After": str(_RETRY_S)}
        raise ProblemError(429, f"{error}; wait, or cancel some.", kind="too-many-commands", headers=headers) from error
    _log.info("command sent", node=node, command=command, id=sent.id, by=caller.user)
    if wait:
        sent = await _ended(sent, parts, wait, stirred)
        response.status_code = 200 if sent.state.final else 202
    response.headers["Location"] = f"/api/v1/commands/{sent.id}"
    return command_view(sent, parts)


@router.get("/commands")
async def list_commands(
    parts: PartsOf,
    caller: RequiredCaller,
    *,
    node: Glob = None,
    command: Text = None,
    state: Annotated[CommandState | None, Query(description="`waiting` finds what `sent` does")] = None,
    run: Annotated[str | None, Query(max_length=64, description="id of a fleet run")] = None,
    since: Annotated[str | None, Query(max_length=64, description="ISO 8601, Unix time in ms, or `-1h`")] = None,
    limit: PageLimit = 100,
    page: PageCursor = None,
) -> Page[Command]:
    """Commands, newest first."""
    where: list[tables.Condition] = []
    if caller.nodes is not None:
        seen = msgspec.json.encode(sorted(caller.nodes)).decode()
        where.append(("node IN (SELECT value FROM json_each(?))", seen))
    if node is not None:
        where.append(("node GLOB ?", node))
    if command is not None:
        where.append(("command = ?", command))
    if state is not None:
        where.append(("state = ?", "sent" if state == "waiting" else state))
    if run is not None:
        where.append(("run = ?", run))
    if since is not None:
        try:
            where.append(("requested_ns >= ?", parse_time(since, parts.clock_ns())))
        except ValueError as error:
            raise wrong_parameter("query.since", f"{since!r} {error}") from error
    if page is not None:
        where.append(("number < ?", from_cursor(page, NumberedPlace).number))
    found = await commanding_of(parts).book.select(where, limit + 1)
    following = to_cursor(NumberedPlace(found[limit - 1].number)) if len(found) > limit else None
    return Page(items=[command_view(each, parts) for each in found[:limit]], next=following)


@router.get("/commands/{command_id}")
async def show_command(command_id: _Id, parts: PartsOf, caller: RequiredCaller, node: _OfNode = None) -> Command:
    """One command."""
    return command_view(await _command(command_id, node, parts, caller), parts)


@router.get("/commands/{command_id}/output")
async def command_output(
    command_id: _Id,
    parts: PartsOf,
    caller: RequiredCaller,
    *,
    node: _OfNode = None,
    limit: PageLimit = 1000,
    page: PageCursor = None,
) -> Page[OutputChunk]:
    """What it wrote, in order, as far as it is kept."""
    command = await _command(command_id, node, parts, caller)
    after = from_cursor(page, _After).number if page is not None else -1
    found = await commanding_of(parts).book.output(command.number, after=after, limit=limit + 1)
    following = to_cursor(_After(found[limit - 1].n)) if len(found) > limit else None
    items = [OutputChunk(n=each.n, at=iso(each.at_ns), stream=each.stream, data=each.data) for each in found[:limit]]
    return Page(items=items, next=following)


@router.get("/commands/{command_id}/journal")
async def command_journal(
    command_id: _Id, parts: PartsOf, caller: RequiredCaller, node: _OfNode = None
) -> Page[AuditRow]:
    """The first 1,000 rows of the journal about it, in order."""
    command = await _command(command_id, node, parts, caller)
    rows = await commanding_of(parts).book.run(
        lambda connection: tables.journal_of(connection, command.node, command.id, _MAX_ROWS)
    )
    return Page(items=[row_view(row) for row in rows])


@router.post("/commands/{command_id}/cancel", status_code=202)
async def cancel_command(command_id: _Id, parts: PartsOf, caller: OperatingCaller, node: _OfNode = None) -> Command:
    """Ask the node to end a command; answered with the command that asks, which has an end of its own."""
    command = await _command(command_id, node, parts, caller)
    if not may_command(caller, command.node):
        raise not_yours(caller, command.node)
    if command.state.final:
        raise ProblemError(409, f"Command {command.id!r} has ended: {command.state}.", kind="ended")
    asking = await commanding_of(parts).sender.cancel(command, caller.user)
    _log.info("command to be cancelled", node=command.node, id=command.id, by=caller.user)
    return command_view(asking, parts)


# -- private -----------------------------------------------------------------------------------------------------------


async def _command(command_id: str, node: str | None, parts: Parts, caller: Caller) -> model.Command:
    found = await commanding_of(parts).book.find(command_id, node)
    found = [each for each in found if caller.may_see(each.node)]
    if not found:
        raise ProblemError(404, f"There is no command {command_id!r} (any more).", kind="no-command")
    if len(found) > 1:
        nodes = ", ".join(sorted(each.node for each in found)[:5])
        raise ProblemError(409, f"Several nodes had a command {command_id!r}: {nodes}; add ?node=.", kind="ambiguous")
    return found[0]


async def _ended(command: model.Command, parts: Parts, wait_s: float, stirred: asyncio.Event) -> model.Command:
    """The command once it has ended, or as it is when the time is over."""
    commanding = commanding_of(parts)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wait_s):
            while True:
                found = await commanding.book.select([("number = ?", command.number)], 1)
                if found and found[0].state.final:
                    return found[0]
                await stirred.wait()
                stirred = commanding.stirred()
    found = await commanding.book.select([("number = ?", command.number)], 1)
    return found[0] if found else command


def _check_known(row: NodeRow, command: str, parts: Parts) -> None:
    """Refuse what a node that is there has said it does not do: it would refuse it, too."""
    catalogue = row.info.get("commands")
    if parts.presence.contact(row.node) is not Contact.ONLINE or not isinstance(catalogue, list):
        return
    names = {each["name"]: each for each in catalogue if isinstance(each, dict) and isinstance(each.get("name"), str)}
    if command not in names:
        raise ProblemError(
            422, f"Node {row.node} knows no command {command!r}; it knows {_listed(names)}.", kind="unknown-command"
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
