"""InfluxDB 3.x, set up over ``/api/v3``: a database and, on a server that never had one, the admin token.

What it cannot do is said line by line: 3.x has no roll-ups of its own, and 3 Core no tokens but those that may do
everything. Shapes of requests and answers are those of the documented API ("InfluxDB 3 Core HTTP API").
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
_NO_ROLLUPS: Final = (
    "3.x makes none by itself and the hub makes none there yet: long ranges are read from samples, and 3 Core refuses "
    "queries over many files (about 72 h). Keep long history in 1.x, 2.x or the embedded store"
)
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
        yield await _database(admin, wanted, _names(reply.body))
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
    yield Step(Outcome.NOT_DONE, "roll-ups", _NO_ROLLUPS)


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


async def _database(admin: Admin, wanted: Wanted, there: list[str]) -> Step:
    if wanted.database in there:
        return Step(Outcome.THERE, f"database {wanted.database}", "its retention is not compared")
    body = {"db": wanted.database, "retention_period": f"{-(-wanted.keep_s // _HOUR_S)}h"}
    await admin.json("POST", _DATABASES, body=body)
    return Step(Outcome.MADE, f"database {wanted.database}: {shown(wanted.keep_s)}")


def _names(body: bytes) -> list[str]:
    """``[{"iox::database": "iot"}, …]``."""
    try:
        rows = msgspec.json.decode(body, type=list[dict[str, object]])
    except msgspec.DecodeError as error:
        raise SetupFailed(f"{_DATABASES} did not answer as InfluxDB 3.x does: {error}") from error
    return [str(row.get("iox::database") or row.get("name") or "") for row in rows]
