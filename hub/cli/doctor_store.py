"""``iothub doctor``: whether a value that the broker took can be read back from the hub."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from hub.api.schemas import Health, QueryAnswer
from hub.cli.base import CliError
from hub.cli.finding import FAILED, OK, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.cli.client import Api

_LIMIT_S: Final = 5.0
_EVERY_S: Final = 0.05


def examine_store(api: Api, node: str, kind: str) -> Iterator[Finding]:
    """Wait for the probe to come back.

    Args:
        api: of the hub.
        node: in whose name the probe was sent just now, as ``doctor.probe``; forgotten in the end.
        kind: of the store that answers.
    """
    sent_ms = int(time.time() * 1000)
    params = {"node": node, "measurement": "doctor", "field": "probe"}
    deadline = time.monotonic() + _LIMIT_S
    try:
        while True:
            # The API has no event for "this point can be read now".
            rows = api.get("/query", QueryAnswer, {**params, "start": sent_ms - 30_000, "stop": sent_ms + 60_000}).rows
            if rows:
                break
            if time.monotonic() > deadline:
                yield Finding("store", FAILED, unread(_said_of_store(api)))
                return
            time.sleep(_EVERY_S)
        yield Finding("store", OK, f"a value sent now is stored and read back ({kind})")
    except CliError as error:
        yield Finding("store", FAILED, str(error))
    finally:
        _forget(api, node)


def unread(said: str) -> str:
    """Where a probe is that did not come back, given what the hub says of its store."""
    text = f"a value that the broker took cannot be read back after {_LIMIT_S:.0f} s"
    if "to spool" in said:
        return f"{text}: it is safe in the spool until the database takes it; `· store` above says why it does not"
    return f"{text}; `iothub tail --refused` and the hub's log say why"


def _said_of_store(api: Api) -> str:
    """The hub's own words about its store."""
    health = Health.model_validate_json(api.raw("/health", prefix="").content)
    return next((link.detail for link in health.links or () if link.name == "store"), "")


def _forget(api: Api, node: str) -> None:
    try:
        api.delete(f"/nodes/{node}")
    except CliError:
        return  # it was not listed yet
