"""InfluxDB 1.x, set up by InfluxQL.

    database ─▶ retention policy of samples ─▶ retention policies and continuous queries of roll-ups ─▶ users

A duration is made longer where it is too short. Shorter it becomes when that is asked for, and not otherwise: InfluxDB
deletes at once what is older.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from hub.influx.admin import FORBIDDEN, OK, UNAUTHORISED, Admin
from hub.influx.steps import Outcome, SetupFailed, Step
from hub.influx.wanted import AUTOGEN, continuous_query, same_statement, seconds, shown
from hub.store.influx_http import Http
from hub.store.influxql import identifier, text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from hub.influx.steps import Account, Accounts
    from hub.influx.wanted import Wanted
    from hub.store.influx_http import Access
    from hub.store.influxql import Row

_NOBODY_ASKED: Final = (
    "this server lets everybody in (auth-enabled = false); its own documentation says how to change that"
)


async def set_up(access: Access, wanted: Wanted, accounts: Accounts, *, shorten: bool) -> AsyncIterator[Step]:
    """Make what is missing, and say so; anything that is there stays as it is.

    Args:
        access: where the server is; who we are in it is not used.
        wanted: what is to be there.
        accounts: who acts, and who is made.
        shorten: make retention shorter too, which deletes.

    Raises:
        SetupFailed: the server refuses something.
        StoreUnavailable: no answer.
    """
    asks = await _asks_who_is_there(access)
    if asks:
        async for step in _become_admin(access, accounts.admin):
            yield step
    async with Http(_as(access, accounts.admin) if asks else _as_nobody(access)) as http:
        admin = Admin(http)
        async for step in _database(admin, wanted, shorten=shorten):
            yield step
        if not asks:
            yield Step(Outcome.NOT_DONE, "users", _NOBODY_ASKED)
            return
        users = {str(name): bool(is_admin) for name, is_admin in _values(await admin.influxql("SHOW USERS"))}
        for account, privilege in ((accounts.hub, "ALL"), (accounts.grafana, "READ")):
            async for step in _user(admin, access, account, users):
                yield step
            if not users.get(account.name):
                yield await _grant(admin, account, wanted.database, privilege)


# -- private ----------------------------------------------------------------------------------------------------------


async def _asks_who_is_there(access: Access) -> bool:
    async with Http(_as_nobody(access)) as http:
        reply = await Admin(http).try_influxql("SHOW DATABASES")
        if reply.status not in (OK, UNAUTHORISED, FORBIDDEN):
            raise Admin(http).refused(reply, "SHOW DATABASES")
    return reply.status != OK


async def _become_admin(access: Access, admin: Account) -> AsyncIterator[Step]:
    """Make the first administrator, of a server that has none; else see that ours is one."""
    what = f"administrator {admin.name}"
    if password := admin.secret():
        async with Http(_as(access, admin)) as http:
            reply = await Admin(http).try_influxql("SHOW USERS")
        if reply.status == OK:
            yield Step(Outcome.THERE, what, admin.where)
            return
    async with Http(_as_nobody(access)) as http:
        made = await Admin(http).try_influxql(_create(admin.name, admin.made(), "WITH ALL PRIVILEGES"))
        if made.status == OK:
            yield Step(Outcome.MADE, what, admin.where)
            return
    if not password:
        # The one just made is nobody's.
        admin.file.unlink(missing_ok=True)
        raise SetupFailed(
            f"InfluxDB at {access.url} has users and asks for a password: give an administrator's, with "
            f"--admin NAME --admin-password-file FILE, or as {admin.file}"
        )
    raise SetupFailed(
        f"InfluxDB at {access.url} does not take {admin.name!r} ({admin.where}) as an administrator: correct it, or "
        "name another one with --admin NAME --admin-password-file FILE"
    )


async def _database(admin: Admin, wanted: Wanted, *, shorten: bool) -> AsyncIterator[Step]:
    name, is_new = identifier(wanted.database), False
    if [wanted.database] in _values(await admin.influxql("SHOW DATABASES")):
        yield Step(Outcome.THERE, f"database {wanted.database}")
    else:
        policy = wanted.retention_policy or AUTOGEN
        is_new = True
        await admin.influxql(f"CREATE DATABASE {name} WITH DURATION {wanted.keep_s}s NAME {identifier(policy)}")
        yield Step(Outcome.MADE, f"database {wanted.database}")
    # Name, duration, shard duration, replicas, whether it is the default.
    policies = {str(row[0]): row for row in _values(await admin.influxql(f"SHOW RETENTION POLICIES ON {name}"))}
    samples = wanted.retention_policy or next((each for each, row in policies.items() if row[4]), "")
    if not samples:
        raise SetupFailed(
            f"database {wanted.database!r} has no default retention policy: name one in store.influx.retention_policy"
        )
    if is_new:
        yield Step(Outcome.MADE, _named(samples, wanted.keep_s))
    ours = [] if is_new else [(samples, wanted.keep_s)]
    for policy, keep_s in (*ours, *((each.name, each.keep_s) for each in wanted.rollups)):
        held_s = seconds(str(policies[policy][1])) if policy in policies else None
        yield await _policy(admin, wanted.database, policy, keep_s, held_s, shorten=shorten)
    async for step in _continuous_queries(admin, wanted, samples):
        yield step


async def _policy(admin: Admin, database: str, policy: str, keep_s: int, held_s: int | None, *, shorten: bool) -> Step:
    of = f"{identifier(policy)} ON {identifier(database)}"
    what = _named(policy, keep_s)
    if held_s is None:
        await admin.influxql(f"CREATE RETENTION POLICY {of} DURATION {keep_s}s REPLICATION 1")
        return Step(Outcome.MADE, what)
    if held_s == keep_s:
        return Step(Outcome.THERE, what)
    if not shorten and (not held_s or held_s > keep_s):
        note = f"it keeps {shown(held_s)}, the settings need {shown(keep_s)}; `--shorten` deletes what is older"
        return Step(Outcome.LEFT, f"retention policy {policy}", note)
    await admin.influxql(f"ALTER RETENTION POLICY {of} DURATION {keep_s}s")
    return Step(Outcome.CHANGED, what, f"was {shown(held_s)}")


async def _continuous_queries(admin: Admin, wanted: Wanted, policy: str) -> AsyncIterator[Step]:
    rows = await admin.influxql("SHOW CONTINUOUS QUERIES")
    held = {str(name): str(query) for row in rows if row.name == wanted.database for name, query in row.values}
    for rollup in wanted.rollups:
        statement = continuous_query(wanted, rollup, policy)
        what = f"continuous query {rollup.name}: every {rollup.every}, the last {rollup.back}"
        if rollup.name not in held:
            await admin.influxql(statement)
            yield Step(Outcome.MADE, what)
        elif same_statement(held[rollup.name], statement):
            yield Step(Outcome.THERE, what)
        else:
            await admin.influxql(f"DROP CONTINUOUS QUERY {identifier(rollup.name)} ON {identifier(wanted.database)}")
            await admin.influxql(statement)
            yield Step(Outcome.CHANGED, what, f"was {held[rollup.name]}")


async def _user(admin: Admin, access: Access, account: Account, users: dict[str, bool]) -> AsyncIterator[Step]:
    what = f"user {account.name}"
    if account.name not in users:
        await admin.influxql(_create(account.name, account.made()))
        yield Step(Outcome.MADE, what, account.where)
        return
    if account.secret():
        async with Http(_as(access, account)) as http:
            if (await Admin(http).try_influxql("SHOW DATABASES")).status != UNAUTHORISED:
                yield Step(Outcome.THERE, what, account.where)
                return
        wrong = f"{account.where}, which the server does not take"
    else:
        wrong = f"its password is not in {account.file}"
    yield Step(
        Outcome.FAILED, what, f"{wrong}: put it there, or let a new one be made: DROP USER {identifier(account.name)}"
    )


async def _grant(admin: Admin, account: Account, database: str, privilege: str) -> Step:
    wanted = f"{privilege} PRIVILEGES" if privilege == "ALL" else privilege
    what = f"user {account.name}: {'read and write' if privilege == 'ALL' else 'read'} {database}"
    held = _values(await admin.influxql(f"SHOW GRANTS FOR {identifier(account.name)}"))
    if [database, wanted] in held:
        return Step(Outcome.THERE, what)
    before = [str(right) for of, right in held if of == database]
    await admin.influxql(f"GRANT {privilege} ON {identifier(database)} TO {identifier(account.name)}")
    return Step(Outcome.CHANGED, what, f"was {before[0].lower()}") if before else Step(Outcome.MADE, what)


def _named(policy: str, keep_s: int) -> str:
    return f"retention policy {policy}: {shown(keep_s)}"


def _create(name: str, password: str, more: str = "") -> str:
    return f"CREATE USER {identifier(name)} WITH PASSWORD {text(password)} {more}".rstrip()


def _as(access: Access, account: Account) -> Access:
    return replace(access, token="", username=account.name, password=account.secret())


def _as_nobody(access: Access) -> Access:
    return replace(access, token="", username="", password="")


def _values(rows: Sequence[Row]) -> list[list[object]]:
    return [values for row in rows for values in row.values]
