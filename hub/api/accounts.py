"""``/accounts``: accounts on the broker of people and programs; those of nodes are made by ``/nodes``."""

from fastapi import APIRouter, Request, Response

from hub.api import schemas
from hub.api.auth import ChangingCaller
from hub.api.changes import note
from hub.api.parts import Credentials, Parts, PartsOf, People
from hub.api.problems import ProblemError
from hub.api.requests import NamedPlace, PageCursor, PageLimit, from_cursor, to_cursor
from hub.api.schemas import Page
from hub.api.schemas_accounts import Account, Denial, MadeAccount, NewAccount
from hub.api.times import iso
from hub.broker.rights import PersonRole

router = APIRouter(tags=["accounts"])


@router.get("/accounts")
async def list_accounts(
    parts: PartsOf, caller: ChangingCaller, limit: PageLimit = 100, page: PageCursor = None
) -> Page[Account]:
    """All accounts of the broker, by name: nodes, gateways, people, and the hub's own."""
    del caller
    found = await _people(parts).accounts()
    after = from_cursor(page, NamedPlace).name if page is not None else ""
    rows = [each for each in found if each.name > after]
    following = to_cursor(NamedPlace(rows[limit - 1].name)) if len(rows) > limit else None
    items = [Account(name=each.name, role=each.role, client_id=each.client_id) for each in rows[:limit]]
    return Page(items=items, next=following, total=len(found))


@router.post("/accounts", status_code=201)
async def add_account(
    wanted: NewAccount, request: Request, response: Response, parts: PartsOf, caller: ChangingCaller
) -> MadeAccount:
    """Make an account that works at once. The password is shown this once; the client id is the name."""
    made = await _people(parts).add(wanted.name, PersonRole[wanted.role.upper()])
    await note(parts, caller, "account made", wanted.name, role=wanted.role)
    response.headers["Location"] = f"{request.url.path}/{wanted.name}"
    return _made(wanted.name, made, parts)


@router.delete("/accounts/{name}", status_code=204)
async def remove_account(name: str, parts: PartsOf, caller: ChangingCaller) -> Response:
    """Remove the account of a person or program; its connection is cut."""
    await _people(parts).remove(name)
    await note(parts, caller, "account removed", name)
    return Response(status_code=204)


@router.post("/accounts/{name}/credentials")
async def rotate_account(name: str, parts: PartsOf, caller: ChangingCaller) -> MadeAccount:
    """Give an account a new password, shown this once; its connection is cut, the old password refused."""
    made = await _people(parts).rotate(name)
    await note(parts, caller, "credentials rotated", name)
    return _made(name, made, parts)


@router.get("/denials")
async def list_denials(parts: PartsOf, caller: ChangingCaller, limit: PageLimit = 100) -> Page[Denial]:
    """Who was turned away by the broker, newest first; the newest 1,000, kept over restarts."""
    del caller
    found = list(parts.denials())
    items = [
        Denial(
            at=iso(each.at_ns),
            kind=each.kind,
            client=each.client,
            addresses=list(each.addresses),
            text=each.text,
            topic=each.topic,
        )
        for each in reversed(found[-limit:])
    ]
    return Page(items=items, total=len(found))


def _people(parts: Parts) -> People:
    if parts.people is None:
        raise ProblemError(409, "The hub does not manage the accounts of this broker.", kind="no-accounts")
    return parts.people


def _made(name: str, account: Credentials, parts: Parts) -> MadeAccount:
    shown = schemas.Credentials(username=account.username, password=account.password, client_id=account.client_id)
    return MadeAccount(name=name, credentials=shown, mqtt=parts.broker)
