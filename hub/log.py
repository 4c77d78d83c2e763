"""The hub's own log: one line an event on standard error, JSON for machines or text for a terminal.

structlog ──────────┐
logging (libraries) ┴─▶ level, time ─▶ JSON or text ─▶ standard error
"""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TYPE_CHECKING, Any, Final

import structlog

from hub.text import printable

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.typing import Processor

    from hub.config import LogSettings

#: Libraries that tell at level info what concerns nobody but their authors.
_QUIET: Final = ("asyncio", "httpcore", "httpx", "sqlalchemy", "uvicorn", "websockets")


def configure(settings: LogSettings) -> None:
    """Set up logging of this process; called once, by the command that runs the hub."""
    level = getattr(logging, settings.level.upper())
    as_text = settings.format == "text" or (settings.format == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=not as_text),
    ]
    render: list[Processor] = (
        [
            _one_line,
            # The default shows the local variables of every frame, passwords among them.
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ]
        if as_text
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    )
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _StandardError(),
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


class _StandardError:
    """Prints lines. One that cannot be written is lost: a full disk under the log must not end the hub."""

    def msg(self, text: str) -> None:
        with contextlib.suppress(OSError):
            print(text, file=sys.stderr, flush=True)  # noqa: T201  this is the log

    debug = info = warning = error = critical = msg


def _one_line(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Text that came from outside cannot steer the terminal."""
    return {key: printable(value) if isinstance(value, str) else value for key, value in event.items()}
