"""HTTP to InfluxDB: the only file that knows the HTTP library; its errors become :class:`StoreUnavailable` here.

GET  /ping, /health …    which server is it (influx_server)
POST /query              InfluxQL, all generations; GET on 3.x
POST /write?db=          line protocol, where there is no /api/v2/write; the others: influx_client
"""

from __future__ import annotations

import base64
import email.utils
import os
import ssl
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

import aiohttp

from hub.store.base import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

#: A server that asks for more is asked again all the same.
_LONGEST_WAIT_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Access:
    """Where InfluxDB is, and who we are there. Secrets do not show in its ``repr``."""

    #: ``http://host:8086``, without a slash at the end.
    url: str
    token: str = field(default="", repr=False)
    username: str = ""
    password: str = field(default="", repr=False)
    timeout_s: float = 30.0
    #: Compress what is sent and what is asked for.
    gzip: bool = False
    #: PEM file of the authorities to trust; those of the system where it is None.
    ca_file: Path | None = None

    def authorization(self) -> dict[str, str]:
        """The header of every request: a token wins over a user."""
        if self.token:
            return {"Authorization": f"Token {self.token}"}
        if self.username:
            pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {}

    def tls(self) -> ssl.SSLContext | None:
        """How to encrypt; None for plain HTTP.

        Raises:
            OSError: the file of authorities cannot be read.
        """
        return ssl.create_default_context(cafile=self.ca_file) if self.url.startswith("https") else None


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answered."""

    status: int
    body: bytes = b""
    #: As the server asked, or None.
    retry_after_s: float | None = None
    #: Header ``X-Influxdb-Version``, or empty.
    version: str = ""
    #: Header ``Date``, or empty.
    date: str = ""


class Http:
    """Connections to one server."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        encoding = "gzip" if self.access.gzip else "identity"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self.access.tls() or True),
            timeout=aiohttp.ClientTimeout(total=self.access.timeout_s),
            headers={**self.access.authorization(), "Accept-Encoding": encoding, "User-Agent": "iothub"},
            raise_for_status=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, parameters: Mapping[str, str] | None = None) -> Reply:
        """Ask; any status is a reply.

        Raises:
            StoreUnavailable: no reply: unreachable, too slow, or the connection broke.
        """
        return await self._request("GET", path, parameters, None, {})

    async def form(self, path: str, parameters: Mapping[str, str], form: Mapping[str, str]) -> Reply:
        """POST a form; otherwise as :meth:`get`."""
        return await self._request("POST", path, parameters, dict(form), {})

    async def post(self, path: str, parameters: Mapping[str, str], body: bytes, *, is_gzip: bool = False) -> Reply:
        """POST lines; otherwise as :meth:`get`."""
        headers = {"Content-Type": "text/plain; charset=utf-8", **({"Content-Encoding": "gzip"} if is_gzip else {})}
        return await self._request("POST", path, parameters, body, headers)

    async def json(
        self, method: str, path: str, parameters: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Reply:
        """A request of the management API of 2.x or 3.x, with JSON as its body; otherwise as :meth:`get`."""
        return await self._request(method, path, parameters, body, {"Content-Type": "application/json"})

    async def _request(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None,
        data: bytes | dict[str, str] | None,
        headers: dict[str, str],
    ) -> Reply:
        if self._session is None:
            raise StoreUnavailable(f"the connection to InfluxDB at {self.access.url} is closed")
        with translated(self.access):
            async with self._session.request(
                method, self.access.url + path, params=parameters, data=data, headers=headers
            ) as response:
                body = await response.read()
                version = response.headers.get("X-Influxdb-Version", "")
                date = response.headers.get("Date", "")
                return Reply(response.status, body, retry_after_s(response.headers), version, date)


@contextmanager
def translated(access: Access) -> Iterator[None]:
    """Errors of the HTTP library as :class:`StoreUnavailable`; what was sent may or may not be stored."""
    try:
        yield
    except TimeoutError as error:
        raise StoreUnavailable(
            f"InfluxDB at {access.url} did not answer within {access.timeout_s:g} s (store.influx.timeout)"
        ) from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise StoreUnavailable(
            f"the certificate of InfluxDB at {access.url} is not trusted: {error.certificate_error}; "
            "store.influx.ca_file names the authority to trust, store.influx.url the name that is in it"
        ) from error
    except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
        raise StoreUnavailable(
            f"InfluxDB at {access.url} cannot be reached: {_why(error)}; is it running, and store.influx.url right?"
        ) from error
    except (aiohttp.ClientError, OSError) as error:
        raise StoreUnavailable(
            f"the connection to InfluxDB at {access.url} broke: {str(error) or type(error).__name__}"
        ) from error


def _why(error: aiohttp.ClientConnectorError | aiohttp.InvalidURL) -> str:
    """What the operating system said, without the words of the library."""
    if isinstance(error, aiohttp.InvalidURL):
        return f"{error} is no URL"
    found = error.os_error
    if isinstance(found, ssl.SSLError):
        return f"it does not speak TLS as expected ({found.reason or found})"
    if found.errno is not None and found.errno > 0:
        return os.strerror(found.errno)
    return found.strerror or str(found)


def retry_after_s(headers: Mapping[str, str], now_s: float | None = None) -> float | None:
    """Seconds of a ``Retry-After`` header, a number or a date (RFC 9110, 10.2.3); None without a usable one."""
    given = headers.get("Retry-After", "").strip()
    if given.isdecimal():
        return min(float(given), _LONGEST_WAIT_S)
    try:
        at_s = email.utils.parsedate_to_datetime(given).timestamp()
    except ValueError:
        return None
    return min(max(at_s - (time.time() if now_s is None else now_s), 0.0), _LONGEST_WAIT_S)
