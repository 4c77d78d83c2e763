"""Joining: ``/join-tokens`` for administrators, and the small application that machines join through.

administrator ── POST /api/v1/join-tokens ──▶ token#fingerprint ── by hand ──▶ new machine
new machine ──── GET  /ca.crt ──▶ compares with the fingerprint, trusts nothing but that from here on
            ──── POST /join {token, node} ──▶ account, declared ──▶ credentials
            ──── POST /leave {node, leave_token} ──▶ account and node removed

The application is served on the network by TLS and has these three routes and nothing else.
"""

from typing import TYPE_CHECKING, Final

import structlog
from fastapi import APIRouter, FastAPI, Request, Response

from hub.api import schemas
from hub.api.auth import ChangingCaller, client_address
from hub.api.changes import note
from hub.api.edge import Edge
from hub.api.parts import Credentials, Parts, PartsOf
from hub.api.problems import ProblemError, install
from hub.api.requests import NumberedPlace, PageCursor, PageLimit, from_cursor, to_cursor
from hub.api.schemas import Broker, Page
from hub.api.schemas_accounts import Joined, JoinRequest, JoinToken, JoinTokenInfo, JoinTokenRequest, LeaveRequest
from hub.api.times import iso
from hub.broker.errors import AccountError, AccountExists, NoSuchAccount
from hub.nodes.database import RegistryError
from hub.tls.authority import TlsError
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from hub.nodes.joins import JoinRow

router = APIRouter(tags=["joining"])
#: Of the application on the network.
_public: Final = APIRouter()

_log = structlog.get_logger("hub.api")


@router.post("/join-tokens", status_code=201)
async def make_join_token(wanted: JoinTokenRequest, parts: PartsOf, caller: ChangingCaller) -> JoinToken:
    """Make a token with which machines join. It is shown this once."""
    lan = parts.settings.broker.lan
    if parts.certificates is None or parts.accounts is None or not lan.join_port:
        raise ProblemError(
            409,
            "Machines join over the network, which is not open: set broker.lan.enabled and broker.lan.join_port, make "
            "certificates with `iothub tls init`, and start again.",
            kind="no-lan",
        )
    try:
        fingerprint, hosts = parts.certificates.fingerprint(), parts.certificates.server().hosts
    except (TlsError, OSError) as error:
        raise ProblemError(503, f"The certificates cannot be read: {error}", kind="tls") from error
    now_ns = parts.clock_ns()
    expires_ns = now_ns + int(wanted.lifetime_s * NS_PER_S)
    number, token = await parts.registry.joins.make(
        now_ns=now_ns, expires_ns=expires_ns, uses=wanted.uses, node=wanted.node, groups=wanted.groups, by=caller.user
    )
    await note(parts, caller, "join token made", str(number), uses=wanted.uses, node_only=wanted.node)
    host = (*lan.names, *hosts)[0]
    return JoinToken(
        id=number,
        token=f"{token}#{fingerprint}",
        address=f"[{host}]:{lan.join_port}" if ":" in host else f"{host}:{lan.join_port}",
        expires=iso(expires_ns),
        uses=wanted.uses,
        node=wanted.node,
    )


@router.get("/join-tokens")
async def list_join_tokens(
    parts: PartsOf, caller: ChangingCaller, limit: PageLimit = 100, page: PageCursor = None
) -> Page[JoinTokenInfo]:
    """The tokens that are still good, oldest first; not the tokens themselves."""
    del caller
    found = await parts.registry.joins.tokens(parts.clock_ns())
    after = from_cursor(page, NumberedPlace).number if page is not None else 0
    rows = [row for row in found if row.id > after]
    following = to_cursor(NumberedPlace(rows[limit - 1].id)) if len(rows) > limit else None
    return Page(items=[_info(row) for row in rows[:limit]], next=following, total=len(found))


@router.delete("/join-tokens/{number}", status_code=204)
async def end_join_token(number: int, parts: PartsOf, caller: ChangingCaller) -> Response:
    """End a token before its time."""
    if not await parts.registry.joins.end(number):
        raise ProblemError(404, f"There is no join token {number}.", kind="no-token")
    await note(parts, caller, "join token ended", str(number))
    return Response(status_code=204)


def create_join_app(parts: Parts) -> FastAPI:
    """The application that machines on the network reach."""
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    app.state.parts = parts
    app.add_middleware(Edge)
    install(app)
    app.include_router(_public)
    return app


@_public.get("/ca.crt")
async def authority(parts: PartsOf) -> Response:
    """The authority's certificate. Nobody believes it for coming from here: its fingerprint is in the token."""
    certificates = parts.certificates
    if certificates is None:
        raise ProblemError(503, "There are no certificates.", kind="tls")
    return Response(certificates.authority_file.read_bytes(), media_type="application/x-pem-file")


@_public.post("/join", status_code=201)
async def join(wanted: JoinRequest, request: Request, parts: PartsOf) -> Joined:
    """Make the machine a node."""
    address = _limited(request, parts)
    joins, now_ns = parts.registry.joins, parts.clock_ns()
    token = await joins.take(wanted.token, wanted.node, now_ns)
    if token is None:
        _log.warning("join refused", node=wanted.node, address=address)
        raise ProblemError(
            403,
            "The join token is unknown, ended, used up, or another node's; `iothub join-token` makes a new one.",
            kind="join-token",
        )
    parts.join_limiter.give_back(address, address)
    try:
        account = await _account(wanted.node, token, parts)
        await parts.registry.declare(wanted.node, token.groups)
        leave_token = await joins.joined(wanted.node, token.id, address, now_ns)
    except (AccountError, RegistryError):
        await joins.give_back(token.id)
        raise
    parts.presence.declare(wanted.node)
    _log.info("node joined", node=wanted.node, address=address, token=token.id, by=token.by)
    lan, root = parts.settings.broker.lan, parts.settings.mqtt.root
    shown = schemas.Credentials(username=account.username, password=account.password, client_id=account.client_id)
    mqtt = Broker(host=request.url.hostname or "", port=lan.port, tls=True, root=root)
    return Joined(node=wanted.node, credentials=shown, mqtt=mqtt, leave_token=leave_token)


@_public.post("/leave", status_code=204)
async def leave(wanted: LeaveRequest, request: Request, parts: PartsOf) -> Response:
    """Remove the node that asks for it, and its account. What it sent stays in the store."""
    address = _limited(request, parts)
    if not await parts.registry.joins.may_leave(wanted.node, wanted.leave_token):
        _log.warning("leave refused", node=wanted.node, address=address)
        raise ProblemError(403, "This is not what the node was given when it joined.", kind="leave-token")
    parts.join_limiter.give_back(address, address)
    if parts.accounts is not None:
        try:
            await parts.accounts.remove_node(wanted.node)
        except NoSuchAccount:
            _log.info("a node that left had no account any more", node=wanted.node)
    await parts.registry.remove(wanted.node)
    parts.presence.forget(wanted.node)
    _log.info("node left", node=wanted.node, address=address)
    return Response(status_code=204)


# -- private -----------------------------------------------------------------------------------------------------------


async def _account(node: str, token: "JoinRow", parts: Parts) -> Credentials:
    if parts.accounts is None:
        raise ProblemError(409, "The hub does not manage the accounts of this broker.", kind="no-accounts")
    try:
        return await parts.accounts.add_node(node)
    except AccountExists:
        # A token for any node must not give away the account of one that there is.
        if token.node != node:
            raise
        return await parts.accounts.rotate(node)


def _limited(request: Request, parts: Parts) -> str:
    """Address of the client; 429 for one that has guessed too often."""
    address = client_address(request)
    wait_s = parts.join_limiter.attempt(address, address)
    if wait_s > 0:
        retry_s = int(wait_s) + 1
        headers = {"Retry-After": str(retry_s)}
        raise ProblemError(429, f"Too many attempts; try again in {retry_s} s.", headers=headers)
    return address


def _info(row: "JoinRow") -> JoinTokenInfo:
    return JoinTokenInfo(
        id=row.id,
        created=iso(row.created_ns),
        expires=iso(row.expires_ns),
        uses_left=row.uses_left,
        node=row.node,
        groups=list(row.groups),
        by=row.by,
    )
