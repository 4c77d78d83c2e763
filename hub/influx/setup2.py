"""InfluxDB 2.x, set up over ``/api/v2``.

    first set-up, if it never had one ─▶ organisation ─▶ buckets ─▶ DBRP mappings ─▶ tasks ─▶ tokens

Retention is made longer where it is too short, and shorter only when that is asked for: what is older is deleted.
Shapes of requests and answers are those of the documented API ("InfluxDB OSS v2 API"). A token is shown by the server
once, when it is made; it goes to its file at once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from hub.influx.admin import NOT_FOUND, OK, UNAUTHORISED, Admin, found_in
from hub.influx.flux import task, task_name
from hub.influx.steps import Outcome, SetupFailed, Step
from hub.influx.wanted import AUTOGEN, shown
from hub.store.influx_http import Http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hub.influx.steps import Account, Accounts
    from hub.influx.wanted import Wanted
    from hub.store.influx_http import Access

#: Organisation of a server that is set up here, where the settings name none.
_ORG: Final = "iothub"
#: Users of the 1.x API; not documented, but what ``influx v1 auth`` of every 2.x asks.
_USERS: Final = "/private/legacy/authorizations"


async def set_up(access: Access, org: str, wanted: Wanted, accounts: Accounts, *, shorten: bool) -> AsyncIterator[Step]:
    """Make what is missing, and say so; anything that is there stays as it is.

    Args:
        access: where the server is, and the token of the settings, tried where there is no other.
        org: organisation, name or id; empty for the only one.
        wanted: what is to be there.
        accounts: who acts, and who gets a token.
        shorten: make retention shorter too, which deletes.

    Raises:
        SetupFailed: the server refuses something.
        StoreUnavailable: no answer.
    """
    async with Http(replace(access, token="", username="", password="")) as nobody:
        first = await _first_set_up(Admin(nobody), org or _ORG, wanted, accounts.admin)
    if first is not None:
        yield first
    token = accounts.admin.secret() or access.token
    if not token:
        raise SetupFailed(
            f"InfluxDB at {access.url} was set up by somebody else: give a token that may do everything, with "
            f"--admin-token-file FILE, or as {accounts.admin.file}"
        )
    async with Http(replace(access, token=token)) as http:
        admin = Admin(http)
        org_id, org_name = await _organisation(admin, org)
        yield Step(Outcome.THERE, f"organisation {org_name}", "" if org else f'the settings need org = "{org_name}"')
        buckets: dict[str, str] = {}
        samples = wanted.retention_policy
        for policy, keep_s in ((samples, wanted.keep_s), *((each.name, each.keep_s) for each in wanted.rollups)):
            buckets[policy], step = await _bucket(admin, org_id, wanted.bucket(policy), keep_s, shorten=shorten)
            yield step
        for policy, bucket_id in buckets.items():
            yield await _mapping(admin, org_id, wanted.database, policy or AUTOGEN, bucket_id, first=policy == samples)
        async for step in _tasks(admin, org_id, wanted):
            yield step
        for account, actions in ((accounts.hub, ("read", "write")), (accounts.grafana, ("read",))):
            yield await _token(
                admin,
                access,
                account,
                org_id=org_id,
                database=wanted.database,
                buckets=list(buckets.values()),
                actions=actions,
            )


# -- private ----------------------------------------------------------------------------------------------------------


async def _first_set_up(nobody: Admin, org: str, wanted: Wanted, admin: Account) -> Step | None:
    if not (await nobody.json("GET", "/api/v2/setup")).get("allowed"):
        return None
    password = replace(admin, file=admin.file.with_name("influx-admin-password"), kind="password")
    body = {
        "username": admin.name,
        "password": password.made(),
        "org": org,
        "bucket": wanted.bucket(wanted.retention_policy),
        "retentionPeriodSeconds": wanted.keep_s,
        # On disk before it is the server's: a crash in between cannot leave a server that nobody can enter.
        "token": admin.made(),
    }
    await nobody.json("POST", "/api/v2/setup", body=body)
    return Step(
        Outcome.MADE,
        f"first set-up: administrator {admin.name}, organisation {org}",
        f"{password.where}, {admin.where}",
    )


async def _organisation(admin: Admin, org: str) -> tuple[str, str]:
    found = (await admin.json("GET", "/api/v2/orgs", {"limit": "100"})).get("orgs") or []
    chosen = [each for each in found if not org or org in (each["name"], each["id"])]
    if len(chosen) != 1:
        there = ", ".join(str(each["name"]) for each in found) or "none"
        raise SetupFailed(f"store.influx.org = {org!r} is no organisation of this server, which has: {there}")
    return str(chosen[0]["id"]), str(chosen[0]["name"])


async def _bucket(admin: Admin, org_id: str, name: str, keep_s: int, *, shorten: bool) -> tuple[str, Step]:
    reply = await admin.try_json("GET", "/api/v2/buckets", {"name": name, "orgID": org_id})
    if reply.status not in (OK, NOT_FOUND):
        raise admin.refused(reply, f"bucket {name}")
    rules = [{"type": "expire", "everySeconds": keep_s}]
    what = f"bucket {name}: {shown(keep_s)}"
    held = next((each for each in found_in(reply).get("buckets") or [] if each["name"] == name), None)
    if held is None:
        made = await admin.json(
            "POST", "/api/v2/buckets", body={"orgID": org_id, "name": name, "retentionRules": rules}
        )
        return str(made["id"]), Step(Outcome.MADE, what)
    bucket_id = str(held["id"])
    held_s = int((held.get("retentionRules") or [{}])[0].get("everySeconds") or 0)
    if held_s == keep_s:
        return bucket_id, Step(Outcome.THERE, what)
    if not shorten and (not held_s or held_s > keep_s):
        note = f"it keeps {shown(held_s)}, the settings need {shown(keep_s)}; `--shorten` deletes what is older"
        return bucket_id, Step(Outcome.LEFT, f"bucket {name}", note)
    await admin.json("PATCH", f"/api/v2/buckets/{bucket_id}", body={"retentionRules": rules})
    return bucket_id, Step(Outcome.CHANGED, what, f"was {shown(held_s)}")


async def _mapping(admin: Admin, org_id: str, database: str, policy: str, bucket_id: str, *, first: bool) -> Step:
    """What InfluxQL calls database and retention policy; 2.x has such mappings of itself, which others may cover."""
    what = f"DBRP mapping {database}, {policy}"
    found = (await admin.json("GET", "/api/v2/dbrps", {"orgID": org_id, "db": database})).get("content") or []
    held = [each for each in found if each["retention_policy"] == policy and not each.get("virtual")]
    if not held:
        body = {
            "orgID": org_id,
            "database": database,
            "retention_policy": policy,
            "bucketID": bucket_id,
            "default": first,
        }
        await admin.json("POST", "/api/v2/dbrps", body=body)
        return Step(Outcome.MADE, what)
    if held[0]["bucketID"] == bucket_id:
        return Step(Outcome.THERE, what)
    note = f"it leads to another bucket, {held[0]['bucketID']}: the hub would not read what it writes; delete it there"
    return Step(Outcome.FAILED, what, note)


async def _tasks(admin: Admin, org_id: str, wanted: Wanted) -> AsyncIterator[Step]:
    for rollup in wanted.rollups:
        name, program = task_name(wanted, rollup), task(wanted, rollup)
        what = f"task {name}: every {rollup.every}, the last {rollup.back}"
        found = (await admin.json("GET", "/api/v2/tasks", {"name": name, "orgID": org_id})).get("tasks") or []
        held: dict[str, Any] | None = next((each for each in found if each["name"] == name), None)
        if held is None:
            await admin.json("POST", "/api/v2/tasks", body={"orgID": org_id, "flux": program, "status": "active"})
            yield Step(Outcome.MADE, what)
        elif str(held.get("flux", "")).split() == program.split() and held.get("status", "active") == "active":
            yield Step(Outcome.THERE, what)
        else:
            await admin.json("PATCH", f"/api/v2/tasks/{held['id']}", body={"flux": program, "status": "active"})
            yield Step(Outcome.CHANGED, what)


async def _token(
    admin: Admin,
    access: Access,
    account: Account,
    *,
    org_id: str,
    database: str,
    buckets: list[str],
    actions: tuple[str, ...],
) -> Step:
    what = f"{'user' if account.kind == 'password' else 'token of'} {account.name}: {' and '.join(actions)} {database}"
    permissions = [
        {"action": action, "resource": {"type": "buckets", "id": bucket_id, "orgID": org_id}}
        for bucket_id in buckets
        for action in actions
    ]
    body = {"orgID": org_id, "description": f"iothub: {account.name}, {database}", "permissions": permissions}
    if account.kind == "password":
        return await _user(admin, access, account, body, what)
    if token := account.secret():
        if await _is_taken(replace(access, token=token), database):
            return Step(Outcome.THERE, what, account.where)
        note = f"the server does not take the {account.where}: remove it, and run this again to have one made"
        return Step(Outcome.FAILED, what, note)
    account.keep(str((await admin.json("POST", "/api/v2/authorizations", body=body))["token"]))
    return Step(Outcome.MADE, what, account.where)


async def _user(admin: Admin, access: Access, account: Account, body: dict[str, Any], what: str) -> Step:
    """A user of the 1.x API, as ``influx v1 auth create`` makes it: tokens of 2.x cannot be known beforehand."""
    held = await admin.try_json("GET", _USERS, {"token": account.name})
    if held.status != NOT_FOUND and (users := found_in(held).get("authorizations")):
        as_it = replace(access, token="", username=account.name, password=account.secret())
        if await _is_taken(as_it, ""):
            return Step(Outcome.THERE, what, account.where)
        note = f"the server does not take the {account.where}: put it there, or remove authorization {users[0]['id']}"
        return Step(Outcome.FAILED, what, note)
    number = (await admin.json("POST", _USERS, body={**body, "token": account.name, "status": "active"}))["id"]
    await admin.json("POST", f"{_USERS}/{number}/password", body={"password": account.made()})
    return Step(Outcome.MADE, what, account.where)


async def _is_taken(access: Access, database: str) -> bool:
    async with Http(access) as http:
        return (await Admin(http).try_influxql("SHOW DATABASES", database)).status != UNAUTHORISED
