"""Sending lines to one database and retention policy of a server, without a store around it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from hub.store.influx_client import InfluxClient
from hub.store.influx_layout import bucket_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hub.store.influx_http import Http, Reply
    from hub.store.influx_send import Post
    from hub.store.influx_server import Server
    from hub.store.influx_target import Target


@asynccontextmanager
async def poster(http: Http, server: Server, target: Target, policy: str = "") -> AsyncIterator[Post]:
    """Where lines with times in ns are posted to, compressed where ``target.access.gzip`` says so.

    ``policy``: the retention policy; empty for the database's default one.
    """
    access = target.access
    if server.has_v2_write:
        async with InfluxClient(access, bucket_of(target.database, policy), target.org) as client:
            yield client.write
        return
    parameters = {"db": target.database, "precision": "ns", **({"rp": policy} if policy else {})}

    async def post(body: bytes) -> Reply:
        return await http.post("/write", parameters, body, is_gzip=access.gzip)

    yield post
