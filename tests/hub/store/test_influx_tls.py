"""InfluxDB behind TLS and with compressed bodies: a real server, and a door in front of it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

import pytest

from hub.config import InfluxSettings
from hub.store.base import StoreBroken, StoreUnavailable, WriteResult
from hub.store.influx import InfluxStore
from hub.store.influx_settings import target_of
from hub.tls.certificates import Certificates
from tests.support.influx import opened
from tests.support.stores import NOON, at, run, samples

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from hub.store.base import Store
    from tests.support.influx import Influxd


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    made = Certificates(tmp_path_factory.mktemp("tls") / "tls")
    made.make("h1", ["127.0.0.1"])
    return made


@contextlib.asynccontextmanager
async def door(port: int, certificates: Certificates) -> AsyncIterator[int]:
    """TLS on a free port, which leads to ``port``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates.server_files)

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back_reader, back_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pipe(reader, back_writer), pipe(back_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def test_values_go_through_tls_to_a_server_whose_authority_is_named(
    influxd: Influxd, certificates: Certificates
) -> None:
    database = influxd.create()

    async def main() -> None:
        async with door(influxd.port, certificates) as port:
            url = f"https://127.0.0.1:{port}"
            async with opened(influxd, database, url=url, ca_file=certificates.authority_file) as store:
                assert await store.write([at(i, a=float(i)) for i in range(3)]) == WriteResult(3)
                assert await samples(store) == {"a": {0: 0.0, 1: 1.0, 2: 2.0}}

    asyncio.run(main())


def test_a_certificate_that_nobody_vouches_for_is_said_and_keeps_everything(
    influxd: Influxd, certificates: Certificates
) -> None:
    async def main() -> None:
        async with (
            door(influxd.port, certificates) as port,
            opened(influxd, "iot", url=f"https://127.0.0.1:{port}") as store,
        ):
            with pytest.raises(StoreUnavailable, match=r"is not trusted: .*store\.influx\.ca_file"):
                await store.write([at(0, a=1.0)])

    asyncio.run(main())


def test_https_to_a_server_that_speaks_plain_http_is_said(influxd: Influxd) -> None:
    async def body(store: Store) -> None:
        with pytest.raises(StoreUnavailable, match="does not speak TLS"):
            await store.write([at(0, a=1.0)])

    run(opened(influxd, "iot", url=influxd.url.replace("http:", "https:")), body)


def test_a_file_of_authorities_that_is_missing_stops_the_start(influxd: Influxd, tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(StoreBroken, match=r"store\.influx\.ca_file cannot be read"):
            async with opened(influxd, "iot", url="https://127.0.0.1:1", ca_file=tmp_path / "none.pem"):
                pass

    asyncio.run(main())


def test_compressed_bodies_and_answers_are_understood(influxd: Influxd) -> None:
    async def body(store: Store) -> None:
        assert await store.write([at(i, a=float(i), s="é") for i in range(5000)]) == WriteResult(10_000)
        found = await samples(store)
        assert len(found["a"]) == len(found["s"]) == 5000

    run(opened(influxd, influxd.create(), gzip=True), body)


@pytest.mark.parametrize(
    ("url", "wanted", "compressed"),
    [
        ("http://127.0.0.1:8086", None, False),
        ("http://localhost:8086/", None, False),
        ("http://influx.lan:8086", None, True),
        ("http://influx.lan:8086", False, False),
        ("http://127.0.0.1:8086", True, True),
    ],
)
def test_bodies_are_compressed_on_a_network_unless_the_settings_say_otherwise(
    url: str,
    wanted: bool | None,  # noqa: FBT001  a table of values
    compressed: bool,  # noqa: FBT001
) -> None:
    access = target_of(InfluxSettings(url=url, gzip=wanted)).access
    assert (access.gzip, access.url) == (compressed, url.rstrip("/"))


def test_a_name_that_nobody_knows_is_said_in_the_words_of_the_system() -> None:
    async def body(store: Store) -> None:
        with pytest.raises(StoreUnavailable) as caught:
            await store.write([at(0, a=1.0)])
        assert "nowhere.invalid:8086 cannot be reached: " in str(caught.value)
        assert "ssl:" not in str(caught.value)

    target = target_of(InfluxSettings(url="http://nowhere.invalid:8086"))
    run(InfluxStore(target, clock_ns=lambda: NOON), body)
