"""Commands of ``iothub`` against the API of a test, in this process: fast, and nothing but the API is there."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from structlog.testing import capture_logs

from hub.cli.app import run
from hub.paths import StatePaths, write_secret
from hub.runfile import Running, write_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.api import Api


class Said(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


class Commands:
    """``await commands("rejects", "list")`` runs ``iothub rejects list`` against ``api``."""

    def __init__(self, folder: Path, api: Api) -> None:
        self._state = folder / "var"
        paths = StatePaths(self._state)
        paths.make()
        write_secret(paths.cli_token, api.token)
        write_run(
            paths.run,
            Running(
                pid=os.getpid(),
                api_url=api.url,
                broker_host="127.0.0.1",
                broker_port=1,
                state=str(self._state),
                hub="test",
                version="0",
            ),
        )

    async def __call__(self, *words: str, answer: str = "") -> Said:
        return await asyncio.to_thread(self._run, words, answer)

    def _run(self, words: tuple[str, ...], answer: str) -> Said:
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
        given = io.StringIO(answer)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _input(given), capture_logs():
            code = run(["--state", str(self._state), *words])
        said = []
        for stream in (out, err):
            stream.flush()
            buffer = stream.detach()
            assert isinstance(buffer, io.BytesIO)
            said.append(buffer.getvalue().decode("utf-8", "surrogateescape"))
        return Said(code, *said)


@contextlib.contextmanager
def _input(given: io.StringIO) -> Iterator[None]:
    kept, sys.stdin = sys.stdin, given
    try:
        yield
    finally:
        sys.stdin = kept
