"""``WS live`` for the commands: connects, subscribes, and connects again when the hub went away, saying so.

Feed.events() ─▶ LiveEvent ─▶ tail, watch, logs --follow
                 Tick        nothing came for a while: time to refresh what is shown
                 Gap         the connection was lost; events in between are not shown
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter, ValidationError
from websockets.exceptions import ConnectionClosed, InvalidHandshake, WebSocketException
from websockets.sync.client import connect

from hub.api.schemas_live import LiveEvent, LiveReady
from hub.cli.base import CliError, Options, open_state
from hub.cli.client import PREFIX, not_running
from hub.paths import read_secret
from hub.runfile import read_run
from wire.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from websockets.sync.client import ClientConnection

    from hub.api.schemas_live import LiveSubscribe

_EVENT: Final[TypeAdapter[LiveEvent]] = TypeAdapter(LiveEvent)
_OPEN_LIMIT_S: Final = 10.0
_LONGEST_RETRY_S: Final = 5.0
_MAX_FRAME_BYTES: Final = 16 << 20


class Tick:
    """Nothing came for the time asked for."""


@dataclass(frozen=True, slots=True)
class Gap:
    """The connection was lost and made again."""

    seconds: float


class Feed:
    """Events of one hub."""

    def __init__(self, options: Options, wanted: LiveSubscribe, say: Callable[[str], None]) -> None:
        self._settings = options.settings()
        self._wanted = wanted
        self._say = say

    def events(self, tick_s: float | None = None) -> Iterator[LiveEvent | Tick | Gap]:
        """Events until the caller stops; the first is always :class:`LiveReady`.

        Raises:
            CliError: no hub runs at the start, or it refuses us; a hub that goes away later is waited for.
        """
        connection = self._open()
        while True:
            lost_at = time.monotonic()
            try:
                with connection:
                    yield from self._received(connection, tick_s)
            except (ConnectionClosed, OSError) as error:
                lost_at = time.monotonic()
                self._say(f"connection to the hub lost ({_reason(error)}); connecting again …")
            connection = self._reopen()
            gap_s = time.monotonic() - lost_at
            self._say(f"connected again after {gap_s:.0f} s")
            yield Gap(gap_s)

    def _received(self, connection: ClientConnection, tick_s: float | None) -> Iterator[LiveEvent | Tick]:
        connection.send(self._wanted.model_dump_json(exclude_defaults=True))
        while True:
            try:
                frame = connection.recv(tick_s)
            except TimeoutError:
                yield Tick()
                continue
            try:
                yield _EVENT.validate_json(frame)
            except ValidationError as error:
                raise CliError(f"the hub sent an event that this version does not know: {frame[:200]!r}") from error

    def _open(self) -> ClientConnection:
        paths = open_state(self._settings)
        running = read_run(paths.run)
        if running is None:
            raise not_running(self._settings, "no hub runs here")
        try:
            token = read_secret(paths.cli_token)
        except OSError as error:
            raise CliError(f"cannot read the token of this state directory: {error}") from error
        url = running.api_url.replace("http", "ws", 1) + PREFIX + "/live"
        try:
            return connect(
                url,
                additional_headers={"Authorization": f"Bearer {token}"},
                open_timeout=_OPEN_LIMIT_S,
                max_size=_MAX_FRAME_BYTES,
                proxy=None,
            )
        except (OSError, InvalidHandshake, WebSocketException) as error:
            raise CliError(f"no live messages from {url}: {_reason(error)}. `iothub doctor` says more.") from error

    def _reopen(self) -> ClientConnection:
        backoff = Backoff(0.2, _LONGEST_RETRY_S)
        while True:
            time.sleep(backoff.next_s())
            try:
                return self._open()
            except CliError:
                continue


def is_ready(event: object) -> bool:
    """Whether this is the answer to the subscription."""
    return isinstance(event, LiveReady)


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionClosed):
        frame = error.rcvd
        return f"closed: {frame.reason}" if frame and frame.reason else "the hub ended" if frame else "no goodbye"
    return str(error) or type(error).__name__
