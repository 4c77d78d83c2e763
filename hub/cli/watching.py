"""``iothub watch``: a frame at each message of the node, at most one a second, and one a second for the ages."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from hub.api.schemas import NodeDetail
from hub.api.schemas_live import LiveSubscribe
from hub.cli.base import CliError
from hub.cli.client import connected
from hub.cli.nodes import checked
from hub.cli.nodeview import frame
from hub.cli.stream import Feed, Gap

if TYPE_CHECKING:
    from hub.cli.base import Options

_EVERY_S: Final = 1.0


def run_watch(options: Options, node: str, *, once: bool) -> None:
    """Show ``node`` until Ctrl-C, or once.

    Raises:
        CliError: no hub runs, or it does not know the node.
    """
    checked(node)
    console = Console(highlight=False)
    detail = _ask(options, node)
    if once:
        console.print(frame(detail, console.width))
        return
    try:
        with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
            screen = _Screen(live, console, detail)
            screen.draw()
            next_fetch_s = 0.0
            for event in Feed(options, LiveSubscribe(node=node), screen.remark).events(_EVERY_S):
                if isinstance(event, Gap):
                    screen.remark("")
                if time.monotonic() >= next_fetch_s:
                    with contextlib.suppress(CliError):  # the feed notices, too, and says so
                        screen.detail = _ask(options, node)
                    next_fetch_s = time.monotonic() + _EVERY_S
                    screen.draw()
    except KeyboardInterrupt:
        return


class _Screen:
    """What is shown: the newest answer, and a remark below it while the hub is away."""

    def __init__(self, live: Live, console: Console, detail: NodeDetail) -> None:
        self._live = live
        self._console = console
        self._remark = ""
        self.detail = detail

    def remark(self, text: str) -> None:
        self._remark = text
        self.draw()

    def draw(self) -> None:
        shown = frame(self.detail, self._console.width)
        below = [Text(f"-- {self._remark}", style="yellow")] if self._remark else []
        self._live.update(Group(*below, shown), refresh=True)


def _ask(options: Options, node: str) -> NodeDetail:
    """The node; the hub is looked up anew each time: after a restart it may answer on another port."""
    with connected(options) as api:
        return api.get(f"/nodes/{node}", NodeDetail)
