"""Writing by influxdb-client, the only file that imports it: ready bytes to ``/api/v2/write`` of 1.8, 2.x, 3.x.

The client has no batching, retry or queue of its own in asyncio; all of that is ours (influx_send, the spool). It
compresses at its slowest level and in the event loop, so bodies come compressed where that is wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.rest import ApiException

from hub.store.base import StoreUnavailable
from hub.store.influx_http import Reply, retry_after_s, translated

if TYPE_CHECKING:
    from types import TracebackType

    from hub.store.influx_http import Access


class InfluxClient:
    """A client for one bucket.

    Args:
        access: where and who.
        bucket: bucket, database, or ``database/retention policy``.
        org: organisation of 2.x, name or id; others ignore it.
    """

    def __init__(self, access: Access, bucket: str, org: str) -> None:
        self._access = access
        self._bucket = bucket
        self._org = org
        self._client: InfluxDBClientAsync | None = None

    async def __aenter__(self) -> Self:
        access = self._access
        # 1.8 takes a user as a token of two parts; 2.x has tokens alone.
        token = access.token or (f"{access.username}:{access.password}" if access.username else "")
        self._client = InfluxDBClientAsync(
            access.url,
            token=token,
            org=self._org or "-",
            timeout=round(access.timeout_s * 1000),
            ssl_context=access.tls(),
        )
        if access.gzip:
            self._client.api_client.default_headers["Content-Encoding"] = "gzip"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.__aexit__(kind, error, trace)

    async def write(self, body: bytes) -> Reply:
        """Send lines with times in ns, compressed if ``access.gzip``; any status is a reply.

        Raises:
            StoreUnavailable: no reply; the lines may or may not be stored.
        """
        if self._client is None:
            raise StoreUnavailable(f"the connection to InfluxDB at {self._access.url} is closed")
        with translated(self._access):
            try:
                await self._client.write_api().write(self._bucket, record=body)  # precision: ns by default
            except ApiException as error:
                data = error.body if isinstance(error.body, bytes) else str(error.body or "").encode()
                return Reply(int(error.status or 0), data, retry_after_s(error.headers or {}))
        return Reply(204)
