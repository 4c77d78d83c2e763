# ruff: noqa: T201  a program that talks to its test over standard output
"""``iothub up`` with fake children, as a process of its own that tests can signal and kill.

    python -m tests.support.fake_up STATE [stubborn]

Prints ``name pid`` for each child, then ``ready``; what it says goes to standard error.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hub.paths import StatePaths
from hub.plan import Plan, Up, UpFailed
from hub.supervise.child import Child, ChildSpec
from hub.up import run_up

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = """
import os, signal, sys, time
def bye(*_):
    if {stubborn}:
        return
    with open({order!r}, "a") as order:
        order.write({name!r} + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, bye)
print("ready", flush=True)
while True:
    time.sleep(600)
"""


class FakePlan(Plan):
    """Three children that do nothing, or ignore SIGTERM."""

    def __init__(self, state: Path, *, stubborn: bool) -> None:
        self.paths = StatePaths(state)
        self._stubborn = stubborn

    def specs(self) -> Iterator[ChildSpec]:
        for name in ("broker", "hub", "agent"):
            code = CODE.format(stubborn=self._stubborn, order=str(self.paths.root / "order"), name=name)
            yield ChildSpec(name, (sys.executable, "-c", code), ready=_announce(name), stop_limit_s=60)

    def result(self) -> Up:
        return None  # type: ignore[return-value]  # nobody looks at it


def _announce(name: str):  # type: ignore[no-untyped-def]  # noqa: ANN202  a coroutine function
    async def ready(child: Child) -> None:
        await child.line(lambda line: line == "ready")
        print(name, child.pid, flush=True)

    return ready


def main() -> int:
    state = Path(sys.argv[1])
    StatePaths(state).make()
    plan = FakePlan(state, stubborn="stubborn" in sys.argv)
    try:
        return asyncio.run(
            run_up(
                plan,
                say=lambda text: print(text, file=sys.stderr, flush=True),
                on_ready=lambda _: print("ready", flush=True),
            )
        )
    except UpFailed as error:
        print(error, file=sys.stderr)
        return error.code


if __name__ == "__main__":
    sys.exit(main())
