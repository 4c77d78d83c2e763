"""The link when the broker refuses, stalls, dies, talks nonsense, or was never there."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from hub.broker.credentials import password_of
from hub.link import Filter, LinkDown
from tests.support.links import collect, connected, make_link, numbered, payloads, pub, run, running
from tests.support.mosquitto import Mosquitto, free_port
from tests.support.secured import Secured
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from wire.settings import MqttSettings


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon, so that several attempts fit into a test."""
    monkeypatch.setattr("hub.link._BACKOFF_FIRST_S", 0.01)
    monkeypatch.setattr("hub.link._BACKOFF_LAST_S", 0.05)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "mosquitto") as running_one:
        yield running_one


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with Secured(tmp_path_factory.mktemp("secured")) as running_one:
        yield running_one


@asynccontextmanager
async def stopped(broker: Mosquitto) -> AsyncIterator[None]:
    """The broker is there and answers nothing."""
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker.pid, signal.SIGCONT)


# -- refused ----------------------------------------------------------------------------------------------------------


def as_options(mqtt: MqttSettings, **changes: str) -> dict[str, str | None]:
    return {"username": mqtt.username, "password": password_of(mqtt), "client_id": mqtt.client_id, **changes}


@pytest.mark.parametrize(
    ("change", "trouble"),
    [
        ({"password": "wrong"}, "the broker refused the connection: not authorized"),
        ({"client_id": "somebody-else"}, "the broker refused the connection: not authorized"),
    ],
)
def test_a_refused_connection_says_why(secured: Secured, change: dict[str, str], trouble: str) -> None:
    async def test() -> None:
        link = make_link(secured.port, "iot/v1/#", **as_options(secured.hub(), **change))  # type: ignore[arg-type]  # options
        async with running(link):
            await eventually(lambda: link.trouble == trouble, what=link.trouble)
            assert not link.connected.is_set()
            with pytest.raises(LinkDown, match=trouble):
                await link.publish("iot/v1/n1/cmd/x", b"")

    run(test)


def test_a_refused_subscription_names_the_filter(secured: Secured) -> None:
    async def test() -> None:
        link = make_link(secured.port, "iot/v1/#", "$CONTROL/#", **as_options(secured.hub()))  # type: ignore[arg-type]
        async with running(link):
            wanted = "the broker refused the subscription to '$CONTROL/#': not authorized"
            await eventually(lambda: link.trouble == wanted, what=link.trouble)

    run(test)


def test_a_refused_subscription_that_is_optional_stops_nothing(secured: Secured) -> None:
    async def test() -> None:
        filters = ("iot/v1/#", Filter("$CONTROL/#", optional=True))
        async with connected(secured.port, *filters, **as_options(secured.hub())) as link:  # type: ignore[arg-type]
            assert (link.connects, link.trouble) == (1, "")

    run(test)


# -- gone -------------------------------------------------------------------------------------------------------------


def test_nobody_behind_the_port_is_said_once_and_the_link_goes_on_trying(tmp_path: Path) -> None:
    port = free_port()

    async def test() -> None:
        link = make_link(port, "x/#")
        with capture_logs() as logs:
            async with running(link):
                await eventually(lambda: "Connect call failed" in link.trouble)
                await asyncio.sleep(0.2)  # several more attempts
                with Mosquitto(tmp_path, port=port) as broker:
                    await eventually(link.connected.is_set)
                    assert link.trouble == ""
                    await asyncio.to_thread(broker.stop)
                    await eventually(lambda: not link.connected.is_set())
        warnings = [entry for entry in logs if entry["log_level"] == "warning"]
        assert len(warnings) == 1
        assert warnings[0]["broker"] == f"127.0.0.1:{port}"
        assert "Connect call failed" in warnings[0]["why"]

    run(test)


def test_an_outage_is_said_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.link._REMIND_S", 0.1)

    async def test() -> None:
        with capture_logs() as logs:
            async with running(make_link(free_port())):
                await eventually(lambda: len(logs) >= 3)

    run(test)


def test_publishing_fails_when_the_broker_dies_before_it_acknowledged(broker: Mosquitto) -> None:
    async def test() -> None:
        async with connected(broker.port, "x/#") as link:
            async with stopped(broker):
                publishing = [asyncio.create_task(link.publish("x/y", line)) for line in numbered(0, 3000)]
                await asyncio.sleep(0)
                os.kill(broker.pid, signal.SIGKILL)
            outcomes = await asyncio.gather(*publishing, return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {LinkDown}
            await asyncio.to_thread(broker.kill)

    run(test)


def test_a_broker_that_falls_silent_is_given_up_and_found_again(broker: Mosquitto) -> None:
    async def test() -> None:
        async with connected(broker.port, "x/#", keep_alive_s=1) as link:
            async with stopped(broker):
                await eventually(lambda: not link.connected.is_set())
                assert "nothing heard from the broker for" in link.trouble
            await eventually(lambda: link.connects == 2)
            await pub(broker.port, "x/y", [b"back"])
            assert payloads(await collect(link, 1)) == [b"back"]

    run(test)


def test_a_broker_that_never_answers_is_said(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.link._CONNECT_LIMIT_S", 0.2)

    async def test() -> None:
        link = make_link(broker.port)
        async with stopped(broker), running(link):
            await eventually(lambda: link.trouble == "no answer within 0 s")
        async with running(link):
            await eventually(link.connected.is_set)

    run(test)


def test_the_link_works_over_tls(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subprocess.run([*argv, *subject, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    plain = free_port()
    lines = [f"certfile {certificate}", f"keyfile {key}", f"listener {plain} 127.0.0.1"]
    secret = Mosquitto(tmp_path / "mosquitto", lines=lines)

    async def test() -> None:
        tls = ssl.create_default_context(cafile=certificate)
        async with connected(secret.port, "x/#", tls=tls, max_in_flight_messages=50) as link:
            await pub(plain, "x/y", [line * 1000 for line in numbered(0, 1000)])
            assert payloads(await collect(link, 1000)) == [line * 1000 for line in numbered(0, 1000)]
        link = make_link(secret.port, tls=ssl.create_default_context())
        async with running(link):
            await eventually(lambda: "certificate" in link.trouble)

    with secret:
        run(test)
