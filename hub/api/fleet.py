"""``POST /commands`` and ``/fleet-runs``: one command to many nodes; ``/audit``: the journal of all commands."""

from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Path, Query

from hub.api.auth import AuditingCaller, OperatingCaller, RequiredCaller
from hub.api.commandviews import body_of, commanding_of, not_yours, row_view, run_view
from hub.api.parts import Parts, PartsOf
from hub.api.problems import ProblemError, wrong_parameter
from hub.api.requests import NumberedPlace, PageCursor, PageLimit, from_cursor, to_cursor
from hub.api.schemas import Page
from hub.api.schemas_commands import AuditHead, AuditRow, FleetRequest, FleetRun
from hub.commands.fleet import Run, TooManyRuns
from hub.commands.rights import may_command
from hub.commands.stages import boundaries, chosen
from hub.nodes.callers import Caller
from hub.nodes.registry import NodeFilter
from wire.topics import check_name

router = APIRouter(tags=["commands"])

_PAGE: Final = 1000
_log: Final = structlog.get_logger("hub.api")


@router.post("/commands", status_code=202)
async def start_fleet_run(wanted: FleetRequest, parts: PartsOf, caller: OperatingCaller) -> FleetRun:
    """Send a command to many nodes, in stages if wanted; it goes on without the client, and after a restart."""
    commanding = commanding_of(parts)
    check_name(wanted.command, "command")
    if wanted.id is not None or wanted.signature is not None:
        raise wrong_parameter("body.id", "each node gets an id of its own; signed commands go into `signed`")
    nodes = chosen(wanted.nodes, await _groups(parts, caller))
    if not nodes:
        raise ProblemError(404, f"No node matches {', '.join(wanted.nodes)[:200]}.", kind="no-node")
    if (refused := next((node for node in nodes if not may_command(caller, node)), None)) is not None:
        raise not_yours(caller, refused)
    try:
        boundaries(wanted.stages, len(nodes))
    except ValueError as error:
        raise wrong_parameter("body.stages", str(error)) from error
    if wanted.signed and (missing := set(nodes) - wanted.signed.keys()):
        raise wrong_parameter("body.signed", f"has nothing for {len(missing)} nodes, such as {min(missing)}")
    body = body_of(wanted, parts)
    relative = wanted.expires_ms is None
    run = Run(
        id="",
        user=caller.user,
        command=wanted.command,
        body=body,
        selectors=wanted.nodes,
        nodes=nodes,
        stages=wanted.stages,
        requested_ns=parts.clock_ns(),
        expires_s=(wanted.expires_s or parts.settings.commands.expires) if relative else None,
        stop_after_failures=wanted.stop_after_failures,
        signed={node: body_of(each, parts) for node, each in wanted.signed.items() if node in nodes},
    )
    try:
        run = await commanding.fleet.start(run)
    except TooManyRuns as error:
        raise ProblemError(429, f"{error}; wait, or stop one.", kind="too-many-commands") from error
    _log.info("fleet run started", run=run.id, command=run.command, nodes=len(nodes), by=caller.user)
    return run_view(run, {})


@router.get("/fleet-runs")
async def list_fleet_runs(
    parts: PartsOf, caller: RequiredCaller, limit: PageLimit = 100, page: PageCursor = None
) -> Page[FleetRun]:
    """Fleet runs, newest first; who sees some nodes only gets those that were for such nodes alone.

    A page may then have fewer runs than ``limit``.
    """
    fleet = commanding_of(parts).fleet
    before = from_cursor(page, NumberedPlace).number if page is not None else None
    found = await fleet.list(before=before, limit=limit + 1)
    following = to_cursor(NumberedPlace(found[limit - 1][0])) if len(found) > limit else None
    items = [run_view(run, await fleet.counts(run.id)) for _, run in found[:limit] if _sees(run, caller)]
    return Page(items=items, next=following)


@router.get("/fleet-runs/{run_id}")
async def show_fleet_run(
    run_id: Annotated[str, Path(max_length=64)], parts: PartsOf, caller: RequiredCaller
) -> FleetRun:
    """One fleet run; ``GET commands?run=`` has what became of it on each node."""
    return await _shown(run_id, parts, caller)


@router.post("/fleet-runs/{run_id}/stop")
async def stop_fleet_run(
    run_id: Annotated[str, Path(max_length=64)], parts: PartsOf, caller: OperatingCaller
) -> FleetRun:
    """Begin no further stage; commands that are out stay out."""
    run = await commanding_of(parts).fleet.find(run_id)
    if run is None or not _sees(run, caller):
        raise _no_such_run(run_id)
    if (refused := next((node for node in run.nodes if not may_command(caller, node)), None)) is not None:
        raise not_yours(caller, refused)
    if not await commanding_of(parts).fleet.stop(run_id, caller.user):
        raise ProblemError(409, f"Fleet run {run_id!r} has ended: {run.state}.", kind="ended")
    return await _shown(run_id, parts, caller)


@router.get("/audit")
async def audit(
    parts: PartsOf,
    caller: AuditingCaller,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="number of the last row of the page before")] = 0,
    limit: PageLimit = 1000,
) -> Page[AuditRow]:
    """The journal of all commands and changes from its first row on, with all that its digests cover.

    Check it yourself: ``iothub audit verify`` does.
    """
    del caller
    rows = await commanding_of(parts).book.journal(after=after, limit=limit)
    return Page(items=[row_view(row) for row in rows])


@router.get("/audit/head")
async def audit_head(parts: PartsOf, caller: AuditingCaller) -> AuditHead:
    """Where the journal ends now."""
    del caller
    head = commanding_of(parts).book.head
    return AuditHead(number=head.number, digest=head.digest)


# -- private -----------------------------------------------------------------------------------------------------------


async def _groups(parts: Parts, caller: Caller) -> dict[str, tuple[str, ...]]:
    """All nodes that the caller sees, with their groups."""
    found: dict[str, tuple[str, ...]] = {}
    after = ""
    while True:
        rows, _ = await parts.registry.nodes(NodeFilter(groups=caller.groups), after=after, limit=_PAGE)
        found |= {row.node: row.groups for row in rows}
        if len(rows) < _PAGE:
            return found
        after = rows[-1].node


def _sees(run: Run, caller: Caller) -> bool:
    return all(map(caller.may_see, run.nodes))


async def _shown(run_id: str, parts: Parts, caller: Caller) -> FleetRun:
    fleet = commanding_of(parts).fleet
    run = await fleet.find(run_id)
    if run is None or not _sees(run, caller):
        raise _no_such_run(run_id)
    return run_view(run, await fleet.counts(run_id))


def _no_such_run(run_id: str) -> ProblemError:
    return ProblemError(404, f"There is no fleet run {run_id!r}.", kind="no-run")
