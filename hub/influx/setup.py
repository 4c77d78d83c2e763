"""Provisioning of whichever InfluxDB the settings name: finds out which it is, and who acts there.

[store.influx] ─▶ find_server ─┬─▶ 1.x  setup1: InfluxQL
                               ├─▶ 2.x  setup2: /api/v2
                               └─▶ 3.x  setup3: /api/v3
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hub.influx import setup1, setup2, setup3
from hub.influx.steps import Account, Accounts, Outcome, Step
from hub.influx.wanted import wanted
from hub.store.influx_http import Http
from hub.store.influx_server import Generation, find_server
from hub.store.influx_settings import target_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from hub.config import InfluxSettings, Secret, Settings
    from hub.paths import StatePaths

#: Name of the user that the hub is, where the settings name none; of Grafana's user; of the first administrator.
HUB: Final = "iothub"
GRAFANA: Final = "grafana"
ADMIN: Final = "admin"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says."""

    #: The administrator of 1.x.
    admin: str = ADMIN
    #: File of its password, or of a token of 2.x or 3.x that may do everything; None for one in the secrets folder.
    admin_password_file: Path | None = None
    admin_token_file: Path | None = None
    #: File of Grafana's password; on 2.x Grafana then becomes a user of the 1.x API instead of getting a token.
    grafana_password_file: Path | None = None
    #: Make retention shorter too, which deletes.
    shorten: bool = False


async def set_up(settings: Settings, paths: StatePaths, asked: Asked) -> AsyncIterator[Step]:
    """Make what is missing in the InfluxDB of ``[store.influx]``; run again, it changes nothing.

    Raises:
        SetupFailed: the server refuses something; the message says what to do.
        StoreUnavailable: no answer.
        StoreBroken: a file that the settings name cannot be read.
    """
    influx = settings.store.influx
    target = target_of(influx.model_copy(update={"token_file": None, "password_file": None}))
    async with Http(target.access) as http:
        server = await find_server(http, target.generation, target.database)
    yield Step(Outcome.THERE, f"{server} at {target.access.url}")
    aim = wanted(settings.store)
    match server.generation:
        case Generation.V1:
            accounts = passwords(influx, paths, asked)
            async for step in setup1.set_up(target.access, aim, accounts, shorten=asked.shorten):
                yield step
        case Generation.V2:
            accounts, access = tokens(influx, paths, asked), target.access
            async for step in setup2.set_up(access, target.org, aim, accounts, shorten=asked.shorten):
                yield step
        case Generation.V3:
            async for step in setup3.set_up(target.access, aim, tokens(influx, paths, asked)):
                yield step
        case Generation.VICTORIA:
            yield Step(Outcome.NOT_DONE, "VictoriaMetrics", "nothing to set up: its retention is an option of its own")


def passwords(influx: InfluxSettings, paths: StatePaths, asked: Asked) -> Accounts:
    """The users of 1.x."""
    folder = paths.secrets
    given = _of_settings(influx.password) if influx.password_file is None else ""
    return Accounts(
        admin=Account(asked.admin, asked.admin_password_file or folder / "influx-admin-password"),
        hub=Account(influx.username or HUB, influx.password_file or folder / "influx-hub-password", given),
        grafana=Account(GRAFANA, asked.grafana_password_file or folder / "influx-grafana-password"),
    )


def tokens(influx: InfluxSettings, paths: StatePaths, asked: Asked) -> Accounts:
    """The tokens of 2.x and 3.x."""
    folder = paths.secrets
    given = _of_settings(influx.token) if influx.token_file is None else ""
    return Accounts(
        admin=Account(ADMIN, asked.admin_token_file or folder / "influx-admin-token", kind="token"),
        hub=Account(HUB, influx.token_file or folder / "influx-hub-token", given, kind="token"),
        grafana=Account(GRAFANA, asked.grafana_password_file)
        if asked.grafana_password_file is not None
        else Account(GRAFANA, folder / "influx-grafana-token", kind="token"),
    )


def _of_settings(secret: Secret | None) -> str:
    return secret.get_secret_value() if secret is not None else ""
