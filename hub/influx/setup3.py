"""InfluxDB 3.x, set up over ``/api/v3``: three databases and, on a server that never had one, the admin token.

Samples and each roll-up have a database of their own: 3.x keeps all of a database equally long. It makes no roll-ups;
the hub fills these databases (``hub/store/influx_roll.py``). What cannot be done is said line by line: 3 Core has no
tokens but those that may do everything. Shapes of requests and answers are those of the documented API ("InfluxDB 3
Core HTTP API").
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from hub.influx.admin import CONFLICT, FORBIDDEN, OK, UNAUTHORISED, Admin, found_in
from hub.influx.steps import Outcome, SetupFailed, Step
from hub.influx.wanted import shown
from hub.store.influx_http import Http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hub.influx.steps import Accounts
    from hub.influx.wanted import Wanted
    from hub.store.influx_http import Access

_DATABASES: Final = "/api/v3/configure/database"
_ADMIN_TOKEN: Final = "/api/v3/configure/token/admin"  # noqa: S105  a path
_HOUR_S: Final = 3600
_NO_READER: Final = (
    "3 Core has tokens that may do everything and no others; 3 Enterprise can make one that only reads: "
    "influxdb3 create token --permission 'db:{database}:read'. Grafana needs it in {file}"
)


async def set_up(access: Access, wanted: Wanted, accounts: Accounts) -> AsyncIterator[Step]:
    """Make what is missing, and say so.

    Raises:
        SetupFailed: the server refuses something.
        StoreUnavailable: no answer.
    """
    token = accounts.admin.secret() or accounts.hub.secret() or access.token
    async with Http(replace(access, token=token, username="", password="")) as http:
        reply = await Admin(http).try_json("GET", _DATABASES, {"format": "json"})
        if reply.status in (UNAUTHORISED, FORBIDDEN) and not token:
            token, step = await _admin_token(Admin(http), access, accounts)
            yield step
    async with Http(replace(access, token=token, username="", password="")) as http:
        admin = Admin(http)
        reply = await admin.try_json("GET", _DATABASES, {"format": "json"})
        if reply.status != OK:
            raise admin.refused(reply, f"GET {_DATABASES}")
        there = _names(reply.body)
        yield await _database(admin, there, wanted.database, wanted.keep_s)
        for rollup in wanted.rollups:
            yield await _database(admin, there, wanted.bucket(rollup.name), rollup.keep_s)
    if token and not accounts.hub.secret():
        accounts.hub.keep(token)
        yield Step(Outcome.MADE, "token of the hub", f"{accounts.hub.where}: the admin token, which may do everything")
    elif token:
        yield Step(Outcome.THERE, "token of the hub", accounts.hub.where)
    else:
        yield Step(Outcome.NOT_DONE, "tokens", "this server lets everybody in (--without-auth)")
    if token:
        note = _NO_READER.format(database=wanted.database, file=accounts.grafana.file)
        yield Step(Outcome.NOT_DONE, "token of grafana, to read only", note)


# -- private ----------------------------------------------------------------------------------------------------------


async def _admin_token(nobody: Admin, access: Access, accounts: Accounts) -> tuple[str, Step]:
    """Of a server that has none yet; it shows the token once."""
    reply = await nobody.try_json("POST", _ADMIN_TOKEN)
    token = str(found_in(reply).get("token") or "")
    if reply.status in (CONFLICT, UNAUTHORISED, FORBIDDEN) or not token:
        raise SetupFailed(
            f"InfluxDB at {access.url} asks for a token and has an admin token already: give it with "
            f"--admin-token-file FILE, or as {accounts.admin.file}"
        )
    accounts.admin.keep(token)
    return token, Step(Outcome.MADE, "admin token", accounts.admin.where)


async def _database(admin: Admin, there: list[str], name: str, keep_s: int) -> Step:
    if name in there:
        return Step(Outcome.THERE, f"database {name}", "its retention is not compared")
    await admin.json("POST", _DATABASES, body={"db": name, "retention_period": f"{-(-keep_s // _HOUR_S)}h"})
    return Step(Outcome.MADE, f"database {name}: {shown(keep_s)}")


def _names(body: bytes) -> list[str]:
    """``[{"iox::database": "iot"}, …]``."""
    try:
        rows = msgspec.json.decode(body, type=list[dict[str, object]])
    except msgspec.DecodeError as error:
        raise SetupFailed(f"{_DATABASES} did not answer as InfluxDB 3.x does: {error}") from error
    return [str(row.get("iox::database") or row.get("name") or "") for row in rows]
