"""Questions to the dynamic-security plugin of a running broker, and its answers.

Control ──$CONTROL/dynamic-security/v1──────────▶ plugin ──▶ dynamic-security.json
        ◀─$CONTROL/dynamic-security/v1/response── QoS 0, to every admin: matched by correlation data
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from hub.broker.credentials import password_of
from hub.broker.errors import BrokerSilent, NotAuthorised, PluginMissing
from hub.connection import Connection, connect_packet
from hub.link_options import Filter, LinkDown, LinkOptions, LinkRefused, tls_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hub.connection import Message
    from wire.settings import MqttSettings

_REQUESTS: Final = "$CONTROL/dynamic-security/v1"
_RESPONSES: Final = "$CONTROL/dynamic-security/v1/response"
#: For connecting, and for each answer.
LIMIT_S: Final = 5.0
#: PUBACK reason codes: nobody subscribed, and from here on refusals.
_NOBODY: Final = 0x10
_REFUSED: Final = 0x80

#: One command, or the answer to it, as the plugin's JSON has it.
Json = dict[str, Any]


class Control:
    """One short connection as ``admin``; made by :meth:`open` only. Questions may be asked concurrently.

    Raises, from every call:
        BrokerSilent: no broker, no answer in time, or the connection broke.
        NotAuthorised: the credentials are wrong or do not manage accounts.
        PluginMissing: the broker took the request and has nobody to answer it.
    """

    def __init__(self, mqtt: MqttSettings, limit_s: float) -> None:
        self._where = f"{mqtt.host}:{mqtt.port}"
        self._limit_s = limit_s
        self._waiting: dict[str, asyncio.Future[list[Json]]] = {}
        self._connection: Connection

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, mqtt: MqttSettings, *, limit_s: float = LIMIT_S) -> AsyncIterator[Self]:
        """Connect as :func:`hub.broker.credentials.for_admin` says."""
        try:
            password = password_of(mqtt)
        except OSError as error:
            raise NotAuthorised(f"the password of {mqtt.username!r} cannot be read: {error}") from error
        control = cls(mqtt, limit_s)
        async with control._connected(mqtt, password):
            yield control

    async def ask(self, *commands: Json) -> list[Json]:
        """Have the plugin run ``commands`` in order; its answers in the same order, each with ``error`` if refused."""
        request_id = secrets.token_hex(8)
        payload = msgspec.json.encode({"commands": [{**c, "correlationData": request_id} for c in commands]})
        answer: asyncio.Future[list[Json]] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = answer
        code = None
        try:
            async with asyncio.timeout(self._limit_s):
                code = await self._connection.publish(_REQUESTS, payload, qos=1, retain=False, expiry_s=None)
                if code >= _REFUSED:
                    raise NotAuthorised(f"{self._where} refused the request (reason code {code:#04x})")
                if code != _NOBODY:
                    lost = self._connection.lost
                    ends: set[asyncio.Future[Any]] = {answer, lost}
                    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                    if not answer.done():
                        await lost
                    return answer.result()
        except TimeoutError as error:
            if code is None:
                raise BrokerSilent(f"{self._where} did not answer within {self._limit_s:g} s") from error
        except LinkRefused as error:
            raise NotAuthorised(f"{self._where} refused the request: {error}") from error
        except LinkDown as error:
            raise BrokerSilent(f"{self._where}: {error}; whether the request was served is unknown") from error
        finally:
            del self._waiting[request_id]
        raise PluginMissing(
            f"the broker at {self._where} took the request and nobody answered: it runs without Mosquitto's dynamic-"
            "security plugin. Make the account with its own tools; mosquitto/README.md lists the rights it needs."
        )

    @contextlib.asynccontextmanager
    async def _connected(self, mqtt: MqttSettings, password: str | None) -> AsyncIterator[None]:
        tls = tls_of(mqtt)
        options = LinkOptions(
            host=mqtt.host,
            port=mqtt.port,
            client_id=mqtt.client_id or f"admin-{secrets.token_hex(4)}",
            username=mqtt.username,
            password=password,
            keep_alive_s=mqtt.keep_alive_s,
            session_expiry_s=0,
        )
        transport: asyncio.BaseTransport | None = None
        try:
            async with asyncio.timeout(self._limit_s):
                transport, self._connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self._take, mqtt.keep_alive_s), mqtt.host, mqtt.port, ssl=tls
                )
                self._connection.send(connect_packet(options))
                await self._connection.connack
                await self._connection.subscribe([Filter(_RESPONSES)])
        except TimeoutError as error:
            raise BrokerSilent(f"no answer from the broker at {self._where} within {self._limit_s:g} s") from error
        except LinkRefused as error:
            raise NotAuthorised(f"{self._where} as {mqtt.username!r}: {error}") from error
        except (OSError, LinkDown) as error:
            raise BrokerSilent(f"no connection to the broker at {self._where}: {error}") from error
        else:
            ping = asyncio.create_task(self._connection.keep_alive(), name="control keep-alive")
            try:
                yield
            finally:
                ping.cancel()
        finally:
            if transport is not None:
                await self._connection.end()

    def _take(self, _connection: Connection, messages: list[Message], _size_bytes: int) -> None:
        for message in messages:
            try:
                responses = msgspec.json.decode(message.payload)["responses"]
                waiting = self._waiting.get(responses[0]["correlationData"])
            except (msgspec.DecodeError, LookupError, TypeError):
                continue  # an answer of another shape is none to a question of ours
            if waiting is not None and not waiting.done():
                waiting.set_result(responses)
