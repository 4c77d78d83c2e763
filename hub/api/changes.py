"""Who changed rights and rules, in the hub's log and in the journal that ``iothub audit verify`` checks."""

from typing import Any, Final

import structlog

from hub.api.parts import Parts
from hub.commands.model import Entry
from hub.nodes.callers import Caller

_log: Final = structlog.get_logger("hub.api")


async def note(parts: Parts, caller: Caller, what: str, subject: str, *, node: str = "", **facts: Any) -> None:
    """Record that ``caller`` did ``what`` to ``subject``; no secrets in ``facts``.

    It was done, and is answered so even where the journal cannot be written (a full disk): whoever was told that it
    failed would do it twice, and lose a password that is shown once. The journal has the row as soon as it can.
    """
    _log.info(what, subject=subject, by=caller.user, **facts)
    if parts.commanding is not None:
        told = {"what": what, "by": caller.user, "token": caller.token_id, **facts}
        await parts.commanding.note(Entry(parts.clock_ns(), "change", node, subject, told))
