"""The live feed against a real WebSocket server."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from websockets.sync.server import Server, ServerConnection, serve

from hub.api.schemas_live import LiveNode, LiveReady, LiveSubscribe
from hub.cli.base import CliError, Options
from hub.cli.stream import Feed, Gap, Tick
from hub.paths import StatePaths, write_secret
from hub.runfile import Running, write_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

READY = LiveReady().model_dump_json()
NODE = LiveNode(at="2026-11-21T22:00:00Z", node="a", change="online", reason="birth").model_dump_json()


@contextmanager
def hub(state: Path, behave: Callable[[ServerConnection, int], None]) -> Iterator[Server]:
    """A server that hands each connection, with its number, to ``behave``; the state directory points to it."""
    count = 0

    def handle(connection: ServerConnection) -> None:
        nonlocal count
        count += 1
        behave(connection, count)

    paths = StatePaths(state)
    paths.make()
    write_secret(paths.cli_token, "secret")
    with serve(handle, "127.0.0.1", 0) as server:
        port = server.socket.getsockname()[1]
        write_run(paths.run, Running(os.getpid(), f"http://127.0.0.1:{port}", "127.0.0.1", 1883, str(state), "h", "0"))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def feed(state: Path, said: list[str]) -> Feed:
    return Feed(Options(state=state), LiveSubscribe(node="a"), said.append)


def test_the_subscription_carries_token_and_wishes(tmp_path: Path) -> None:
    seen = []

    def behave(connection: ServerConnection, _: int) -> None:
        assert connection.request is not None
        seen.append((connection.request.path, connection.request.headers["Authorization"], connection.recv()))
        connection.send(READY)

    with hub(tmp_path, behave):
        assert isinstance(next(feed(tmp_path, []).events()), LiveReady)
    assert seen == [("/api/v1/live", "Bearer secret", '{"node":"a"}')]


def test_a_hub_that_goes_away_is_waited_for_and_that_is_said(tmp_path: Path) -> None:
    def behave(connection: ServerConnection, number: int) -> None:
        connection.recv()
        connection.send(READY)
        if number == 2:
            connection.send(NODE)

    said: list[str] = []
    with hub(tmp_path, behave):
        events = feed(tmp_path, said).events()
        kinds = [type(next(events)) for _ in range(4)]
    assert kinds == [LiveReady, Gap, LiveReady, LiveNode]
    assert said[0].startswith("connection to the hub lost")
    assert said[1].startswith("connected again after")


def test_quiet_times_give_ticks(tmp_path: Path) -> None:
    over = threading.Event()

    def behave(connection: ServerConnection, _: int) -> None:
        connection.recv()
        connection.send(READY)
        over.wait(60)

    with hub(tmp_path, behave):
        events = feed(tmp_path, []).events(0.05)
        assert isinstance(next(events), LiveReady)
        assert isinstance(next(events), Tick)
        over.set()


def test_without_a_hub_the_first_connection_fails_with_advice(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="no hub runs here"):
        next(feed(tmp_path, []).events())
