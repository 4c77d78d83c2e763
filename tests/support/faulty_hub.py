"""``iothub`` that breaks at a point of its own code; the same arguments, and the faults in the variable ``FAULT``.

Several, with spaces between them, are runs one after the other: all but the last must die of theirs.

kill:stored:3       SIGKILL right after the third return of that step; the steps are in :data:`STEPS`
slow:FILE           while FILE exists, the store does not return from a write
refuse:FILE         while FILE exists, the store says that it cannot write
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub.cli import main
from hub.control import Controls
from hub.intake import Intake
from hub.ledger import Ledger
from hub.link import Link
from hub.rejects import Rejects
from hub.store.base import StoreUnavailable
from hub.store.duck import DuckStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.store.base import WriteResult

#: In the order in which a group passes them; see ``hub/pipeline.py``.
STEPS: dict[str, tuple[type, str]] = {
    "decoded": (Intake, "decode"),
    "stored": (DuckStore, "write"),
    "kept": (Rejects, "keep"),
    "recorded": (Controls, "flush"),
    "settled": (Ledger, "settle"),
    "acknowledged": (Link, "acknowledge"),
}


def kill_after(step: str, times: int) -> None:
    """Die at the given return of a step."""
    owner, name = STEPS[step]
    work: Callable[..., Any] = getattr(owner, name)
    left = times

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def call(*args: Any) -> Any:
        result = work(*args)
        count()
        return result

    async def call_and_wait(*args: Any) -> Any:
        result = await work(*args)
        count()
        return result

    setattr(owner, name, call_and_wait if inspect.iscoroutinefunction(work) else call)


def hold_writes(file: Path, *, refuse: bool) -> None:
    """Hold or refuse the store's writes while ``file`` exists."""
    write = DuckStore.write

    async def held(store: DuckStore, points: Any) -> WriteResult:
        while file.exists():  # noqa: ASYNC240  a look into a local folder
            if refuse:
                raise StoreUnavailable("the test's store takes no write now")
            await asyncio.sleep(0.05)
        return await write(store, points)

    setattr(DuckStore, "write", held)  # noqa: B010  mypy knows that methods are not assigned to


def run_and_die(fault: str) -> None:
    """Run in a process of its own, so that one import serves many deaths."""
    if (child := os.fork()) == 0:
        apply(fault)
        main()
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        sys.exit(f"the hub was to die of {fault}, but it ended with exit code {os.waitstatus_to_exitcode(status)}")


def apply(fault: str) -> None:
    """Make ready for one fault."""
    kind, _, rest = fault.partition(":")
    if kind == "kill":
        step, _, times = rest.partition(":")
        kill_after(step, int(times))
    else:
        hold_writes(Path(rest), refuse=kind == "refuse")


if __name__ == "__main__":
    *before, last = os.environ["FAULT"].split()
    importlib.import_module("hub.cli.hubbing")  # what a hub imports, once for all deaths
    for each in before:
        run_and_die(each)
    apply(last)
    main()
