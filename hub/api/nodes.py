"""``/nodes``: who there is, what they publish, when they were connected; declare and remove."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from hub.api import schemas
from hub.api.auth import ChangingCaller, RequiredCaller, SeenParts
from hub.api.changes import note
from hub.api.parts import Credentials, Parts, PartsOf
from hub.api.problems import ProblemError, wrong_parameter
from hub.api.requests import NamedPlace, NumberedPlace, PageCursor, PageLimit, Text, from_cursor, to_cursor
from hub.api.schemas import Connection, DeclaredNode, Node, NodeDeclaration, NodeDetail, Page, Publishes
from hub.api.schemas_users import NodeGroups
from hub.api.times import iso, iso_or_none
from hub.broker.errors import NoSuchAccount
from hub.nodes.callers import Caller
from hub.nodes.database import RegistryError
from hub.nodes.model import ConnectionRow, Contact, NodeRow, Standing
from hub.nodes.registry import NodeFilter
from hub.store.base import SeriesFilter
from wire.point import NS_PER_S

router = APIRouter(tags=["nodes"])

_MAX_PUBLISHES = 1000


@router.get("/nodes", response_model=Page[Node])
async def list_nodes(
    parts: PartsOf,
    caller: RequiredCaller,
    *,
    standing: Standing | None = None,
    contact: Contact | None = None,
    group: Text = None,
    text: Annotated[str | None, Query(max_length=64, description="part of the node id")] = None,
    limit: PageLimit = 100,
    page: PageCursor = None,
) -> Response:
    """Nodes in order of their ids."""
    chosen = NodeFilter(standing=standing, contact=contact, group=group, groups=caller.groups, text=text)
    after = from_cursor(page, NamedPlace).name if page is not None else ""
    rows, total = await parts.registry.nodes(chosen, after=after, limit=limit + 1)
    following = to_cursor(NamedPlace(rows[limit - 1].node)) if len(rows) > limit else None
    page_of_nodes: Page[Node] = Page(items=[_node(row, parts) for row in rows[:limit]], next=following, total=total)
    # Made here: FastAPI would check each node again, on the event loop, for longer than the rest takes.
    return Response(page_of_nodes.model_dump_json(), media_type="application/json")


@router.post("/nodes", status_code=201)
async def declare_node(
    wanted: NodeDeclaration, request: Request, response: Response, parts: PartsOf, caller: ChangingCaller
) -> DeclaredNode:
    """Declare a node and make its account on the broker, live. The password is shown this once.

    With `via` it gets no account: that gateway may speak for it from now on.
    """
    row = await parts.registry.node(wanted.node)
    if row is not None and row.standing is Standing.DECLARED:
        raise ProblemError(
            409,
            f"Node {wanted.node!r} is declared already; POST nodes/{wanted.node}/credentials gives it a new password.",
            kind="node-exists",
        )
    account = await _make_account(wanted, parts)
    try:
        await parts.registry.declare(wanted.node, wanted.groups)
    except RegistryError:
        if parts.accounts is not None:
            await parts.accounts.remove_node(wanted.node)
        raise
    parts.presence.declare(wanted.node)
    if parts.alerting is not None and wanted.groups:
        await parts.alerting.regroup(wanted.node)
    await note(
        parts, caller, "node declared", wanted.node, node=wanted.node, account=account is not None, via=wanted.via
    )
    response.headers["Location"] = f"{request.url.path}/{wanted.node}"
    return _declared(wanted.node, account, parts)


@router.get("/nodes/{node}")
async def show_node(node: str, parts: SeenParts, caller: RequiredCaller) -> NodeDetail:
    """One node: what it says about itself, and what it publishes with the newest values."""
    row = await _row(node, parts, caller)
    exactly = SeriesFilter(node=_literal(node))
    series = await parts.store.series(exactly)
    newest = {(last.series.key, last.series.field): last for last in await parts.store.last(exactly)}
    publishes = []
    for one in series[:_MAX_PUBLISHES]:
        last = newest.get((one.key, one.field))
        publishes.append(
            Publishes(
                measurement=one.key.measurement,
                tags=dict(one.key.tags),
                field=one.field,
                kind=one.kind.value,
                first=iso(one.first_ns),
                last=iso(last.ts_ns if last is not None else one.last_ns),
                value=last.value if last is not None else None,
            )
        )
    return NodeDetail(
        **_node(row, parts).model_dump(),
        info=row.info,
        clock_offset_s=parts.clock_offset_s(node),
        publishes=publishes,
        series_total=len(series),
    )


@router.delete("/nodes/{node}", status_code=204)
async def remove_node(node: str, parts: PartsOf, caller: ChangingCaller) -> Response:
    """Remove a node, its connections and its account on the broker. What it sent stays in the store."""
    had_account = False
    if parts.accounts is not None:
        try:
            await parts.accounts.remove_node(node)
            had_account = True
        except NoSuchAccount:
            pass
    known = await parts.registry.remove(node)
    parts.presence.forget(node)
    if parts.alerting is not None:
        parts.alerting.forget(node)
    if not (known or had_account):
        raise _no_such_node(node)
    await note(parts, caller, "node removed", node[:64], node=node[:64])
    return Response(status_code=204)


@router.post("/nodes/{node}/credentials")
async def rotate_credentials(node: str, parts: PartsOf, caller: ChangingCaller) -> DeclaredNode:
    """Give the account of a node a new password, shown this once; the old one is refused from now on."""
    await _row(node, parts, caller)
    if parts.accounts is None:
        raise ProblemError(409, "The hub does not manage the accounts of this broker.", kind="no-accounts")
    account = await parts.accounts.rotate(node)
    await note(parts, caller, "credentials rotated", node, node=node)
    return _declared(node, account, parts)


@router.put("/nodes/{node}/groups")
async def put_node_groups(node: str, wanted: NodeGroups, parts: PartsOf, caller: ChangingCaller) -> Node:
    """Put a node into these groups and no others. Groups say which rules hold for it and who sees it, from now on."""
    if not await parts.registry.set_groups(node, wanted.groups):
        raise _no_such_node(node)
    if parts.alerting is not None:
        await parts.alerting.regroup(node)
    await note(parts, caller, "node put into groups", node, node=node, groups=sorted(set(wanted.groups)))
    return _node(await _row(node, parts, caller), parts)


@router.get("/nodes/{node}/connections")
async def list_connections(
    node: str, parts: PartsOf, caller: RequiredCaller, limit: PageLimit = 100, page: PageCursor = None
) -> Page[Connection]:
    """Connections of a node, newest first, each with how it began and ended."""
    await _row(node, parts, caller)
    before = from_cursor(page, NumberedPlace).number if page is not None else None
    rows = await parts.registry.connections(node, before=before, limit=limit + 1)
    following = to_cursor(NumberedPlace(rows[limit - 1].id)) if len(rows) > limit else None
    return Page(items=[_connection(row) for row in rows[:limit]], next=following)


# -- private -----------------------------------------------------------------------------------------------------------


async def _make_account(wanted: NodeDeclaration, parts: Parts) -> Credentials | None:
    if wanted.gateway and wanted.via is not None:
        raise wrong_parameter("body.via", "a gateway cannot be reached via another one")
    if parts.accounts is None:
        return None
    if wanted.via is not None:
        await parts.accounts.add_device(wanted.node, wanted.via)
        return None
    return await (parts.accounts.add_gateway if wanted.gateway else parts.accounts.add_node)(wanted.node)


async def _row(node: str, parts: Parts, caller: Caller) -> NodeRow:
    row = await parts.registry.node(node) if caller.may_see(node) else None
    if row is None:
        raise _no_such_node(node)
    return row


def _no_such_node(node: str) -> ProblemError:
    return ProblemError(404, f"There is no node {node[:64]!r}; GET nodes lists those that there are.", kind="no-node")


def _node(row: NodeRow, parts: Parts) -> Node:
    # The registry's own values: nothing to check.
    return Node.model_construct(
        node=row.node,
        standing=row.standing.value,
        contact=row.contact.value,
        first_seen=iso_or_none(row.first_seen_ns),
        # The registry's is some seconds old: it is written in batches.
        last_seen=iso_or_none(parts.presence.last_seen_ns(row.node) or row.last_seen_ns),
        since=iso_or_none(row.since_ns),
        reason=row.reason,
        session=row.session,
        version=row.version,
        outbox=row.outbox,
        groups=list(row.groups),
    )


def _connection(row: ConnectionRow) -> Connection:
    ended = row.disconnected_ns
    return Connection(
        connected_at=iso(row.connected_ns),
        disconnected_at=iso_or_none(ended),
        reason_connected=row.reason_connected,
        reason_disconnected=row.reason_disconnected,
        duration_s=(ended - row.connected_ns) / NS_PER_S if ended is not None else None,
        session=row.session,
    )


def _declared(node: str, account: Credentials | None, parts: Parts) -> DeclaredNode:
    shown = None
    if account is not None:
        shown = schemas.Credentials(username=account.username, password=account.password, client_id=account.client_id)
    return DeclaredNode(node=node, credentials=shown, mqtt=parts.broker)


def _literal(text: str) -> str:
    """A glob that matches ``text`` only; node ids hold none of its special characters, paths of requests may."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in text)
