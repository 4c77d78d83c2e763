"""A node session on a test broker, and another client that watches it."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from wire.errors import SessionDown
from wire.messages import NodeState, Receipt, Status
from wire.session import NodeSession, SessionOptions, listen
from wire.settings import MqttSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.support.mosquitto import Mosquitto
    from wire.packets import Incoming

STATUS = "iot/v1/n1/status"


def mqtt(port: int, **values: object) -> MqttSettings:
    """Settings of a client of the broker on ``port``."""
    return MqttSettings.model_validate({"port": port, "keep_alive_s": 5, **values})


def make_session(
    port: int, on_receipt: Callable[[Receipt, bool], None] | None = None, window: int = 100
) -> NodeSession:
    options = SessionOptions(
        mqtt=mqtt(port), node="n1", window=window, first_retry_s=0.05, longest_retry_s=0.2, first_refused_s=0.05
    )
    return NodeSession(options, lambda: Status(NodeState.ONLINE, ts=5, session="s1", info={"os": "test"}), on_receipt)


@asynccontextmanager
async def connected(
    broker: Mosquitto, on_receipt: Callable[[Receipt, bool], None] | None = None
) -> AsyncIterator[NodeSession]:
    async with make_session(broker.port, on_receipt) as session:
        await asyncio.wait_for(session.connected.wait(), 60)
        yield session


@asynccontextmanager
async def collected(broker: Mosquitto, *filters: str) -> AsyncIterator[list[Incoming]]:
    """What arrives on ``filters`` while the body runs, as another client sees it."""
    got: list[Incoming] = []

    async def collect(messages: AsyncIterator[Incoming]) -> None:
        with contextlib.suppress(SessionDown):  # some tests kill the broker
            async for message in messages:
                got.append(message)  # noqa: PERF401  read while it grows

    async with listen(mqtt(broker.port), *filters) as messages:
        task = asyncio.create_task(collect(messages))
        yield got
        task.cancel()


def run(test: Callable[[], Awaitable[None]], limit_s: float = 200) -> None:
    """Run an asynchronous test with a time limit."""

    async def limited() -> None:
        async with asyncio.timeout(limit_s):
            await test()

    asyncio.run(limited())


def pub(broker: Mosquitto, topic: str, payload: str, *more: str) -> None:
    """Publish at QoS 1 with a client that is not ours."""
    argv = ["mosquitto_pub", "-V", "5", "-p", str(broker.port), "-q", "1", "-t", topic, "-m", payload, *more]
    subprocess.run(argv, check=True, timeout=60)


def with_password(folder: Path) -> list[str]:
    """Lines of a broker that lets nobody in but ``n1`` with the password ``right``."""
    passwords = folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-c", "-b", str(passwords), "n1", "right"], check=True, timeout=60)
    passwords.chmod(0o644)
    return ["allow_anonymous false", f"password_file {passwords}"]
