"""The table of commands that operators may send to this node. A new one is a function, its argument model and a line.

Which of them a node runs, its own settings decide: ``agent/policy.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agent.commands import logs, shell
from agent.commands.base import Answer, Command, FailedError, Handler, Host, NoArgs, RefusedError, Request, Running
from agent.commands.basic import CancelArgs, CollectArgs, IntervalArgs, cancel, collect, info, interval, ping
from agent.commands.files import FilesArgs, files
from agent.commands.processes import ProcessesArgs, processes
from agent.commands.services import ServiceRestartArgs, ServicesArgs, service_restart, services

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COMMANDS", "Answer", "Command", "FailedError", "Handler", "Host", "RefusedError", "Request", "Running"]

_TABLE: Final[tuple[Command[Any], ...]] = (
    Command(name="cancel", help="end a command that runs", model=CancelArgs, run=cancel, always=True),
    Command(name="collect", help="measure now", model=CollectArgs, run=collect),
    Command(name="files", help="list and fetch below allowed folders", model=FilesArgs, run=files),
    Command(name="info", help="what this host is and takes", model=NoArgs, run=info),
    Command(name="interval", help="change a collector's pace", model=IntervalArgs, run=interval, changes=True),
    Command(name="logs", help="the end of a log", model=logs.LogsArgs, run=logs.logs, schema=logs.schema),
    Command(name="ping", help="answer at once", model=NoArgs, run=ping),
    Command(name="processes", help="what runs here", model=ProcessesArgs, run=processes),
    Command(
        name="service-restart", help="restart a service", model=ServiceRestartArgs, run=service_restart, changes=True
    ),
    Command(name="services", help="systemd's services", model=ServicesArgs, run=services),
    Command(
        name="shell", help="a command line of the node's settings", model=shell.ShellArgs, run=shell.shell,
        changes=True, read=shell.read, schema=shell.schema, shown=shell.shown,
    ),
)  # fmt: skip

COMMANDS: Final[Mapping[str, Command[Any]]] = {command.name: command for command in _TABLE}
