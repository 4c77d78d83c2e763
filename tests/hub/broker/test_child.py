"""The broker as a supervisor sees it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from hub.broker.child import MosquittoChild
from tests.support.secured import Secured

if TYPE_CHECKING:
    from pathlib import Path


async def run_until_it_ends(child: MosquittoChild) -> tuple[int, list[str]]:
    process = await asyncio.create_subprocess_exec(
        *child.argv, env={**os.environ, **child.env}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, output.decode().splitlines()


def explained(child: MosquittoChild) -> str:
    code, lines = asyncio.run(run_until_it_ends(child))
    return child.explain_exit(code, lines)


def test_ready_returns_when_the_port_accepts_and_sigterm_ends_it_in_order(tmp_path: Path) -> None:
    child = Secured(tmp_path).child

    async def run() -> int:
        process = await asyncio.create_subprocess_exec(
            *child.argv, env={**os.environ, **child.env}, stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(60):
            await child.ready()
            _, writer = await asyncio.open_connection(child.host, child.port)
            writer.close()
            process.send_signal(signal.SIGTERM)
            return await process.wait()

    assert asyncio.run(run()) == 0
    assert (child.data / "mosquitto.db").exists()


def test_the_process_is_the_broker_itself_and_no_shell_around_it(tmp_path: Path) -> None:
    with Secured(tmp_path) as broker, open(f"/proc/{broker.pid}/comm") as comm:  # noqa: PTH123  proc
        assert comm.read().strip() == "mosquitto"


def test_ready_waits_while_nothing_listens(tmp_path: Path) -> None:
    child = Secured(tmp_path).child

    async def run() -> None:
        async with asyncio.timeout(0.2):
            await child.ready()

    with pytest.raises(TimeoutError):
        asyncio.run(run())


def test_a_port_taken_after_preparing_is_explained(tmp_path: Path) -> None:
    child = Secured(tmp_path).child
    with socket.create_server((child.host, child.port)):
        said = explained(child)
    assert re.search(rf"port {child.port} is taken by \S+ \(pid {os.getpid()}\)", said)
    assert "mqtt.port" in said


def test_a_refused_configuration_line_is_explained(tmp_path: Path) -> None:
    child = Secured(tmp_path).child
    with child.config.open("a") as config:
        config.write("frobnicate yes\n")
    said = explained(child)
    assert re.search(rf"refuses its configuration {child.config}.*Unknown configuration variable .frobnicate.", said)
    assert "older than 2.0.11" in said


def test_a_plugin_that_cannot_be_loaded_is_explained(tmp_path: Path) -> None:
    child = Secured(tmp_path).child
    child.config.write_text(re.sub("plugin /.*", "plugin /nope.so", child.config.read_text()))
    said = explained(child)
    assert "cannot load its dynamic-security plugin" in said
    assert "/nope.so" in said


def test_a_damaged_persistence_file_is_explained(tmp_path: Path) -> None:
    broker = Secured(tmp_path)
    (broker.child.data / "mosquitto.db").write_bytes(b"garbage")
    broker = Secured(tmp_path)
    said = explained(broker.child)
    assert "cannot read its sessions and retained messages" in said
    assert "mosquitto.db.broken" in said


@pytest.mark.parametrize(
    ("code", "lines", "said"),
    [
        (-9, ["2026-01-01T00:00:00: mosquitto version 2.0.11 running"], "ended with signal 9; it last said: mosquitto"),
        (1, [], "ended with exit code 1 and said nothing"),
        (
            1,
            [
                "2026-01-01T00:00:00: Opening ipv4 listen socket on port 80.",
                "2026-01-01T00:00:00: Error: Permission denied",
            ],
            "no permission to listen on port",
        ),
    ],
)
def test_any_other_end_is_told_with_its_last_words(tmp_path: Path, code: int, lines: list[str], said: str) -> None:
    child = MosquittoChild(("mosquitto",), {}, "127.0.0.1", 80, tmp_path / "mosquitto.conf", tmp_path)
    assert said in child.explain_exit(code, lines)
