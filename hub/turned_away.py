"""Denials that outlive the hub: the newest ones in a file of their own, and how far the broker's log was read.

    $SYS/broker/log ─▶ Denials ─┐
    log/mosquitto.log ─▶ Tail ──┴─▶ once a second: denials.db

Not in the journal of commands: that is only ever appended to, and strangers must not be able to make it grow.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Never, Self

import msgspec
import structlog

from hub.broker.child import BROKER
from hub.broker.config import ACCOUNTS_FILE
from hub.broker.tail import Place, Tail
from hub.broker.wills import Rights
from hub.denials import Denial
from hub.statefile import StateFile, StateUnavailable, transaction

if TYPE_CHECKING:
    from sqlite3 import Connection
    from types import TracebackType

    from hub.config import Settings
    from hub.denials import Denials
    from hub.paths import StatePaths

_MIGRATIONS: Final = (
    (
        "CREATE TABLE denials (number INTEGER PRIMARY KEY, denial TEXT NOT NULL)",
        "CREATE TABLE place (one INTEGER PRIMARY KEY CHECK (one = 1), inode INTEGER NOT NULL, offset INTEGER NOT NULL)",
    ),
)
_EVERY_S: Final = 1.0
_decode: Final = msgspec.json.Decoder(Denial).decode

_log = structlog.get_logger("hub.broker")


class TurnedAway:
    """Keeps ``denials``. ``async with`` opens the file and puts what it has before the newest ones; then ``run``.

    Args:
        settings: with ``broker.record_denied`` the broker's log file is followed.
        paths: where both files are.
        denials: what the broker says goes there.

    Raises:
        StateBroken, StateUnavailable: on entering, see :class:`~hub.statefile.StateFile`.
    """

    def __init__(self, settings: Settings, paths: StatePaths, denials: Denials) -> None:
        self._denials = denials
        self._follows = settings.broker.record_denied
        self._log_file = paths.logs / f"{BROKER}.log"
        self._file = StateFile(paths.denials, _MIGRATIONS, sync=False)
        self._tail: Tail | None = None
        self._kept = 0
        denials.may_publish = Rights(paths.broker / "data" / ACCOUNTS_FILE, settings.mqtt.root).may_publish

    async def __aenter__(self) -> Self:
        await self._file.__aenter__()
        try:
            kept, place = await self._file.run(_load)
        except StateUnavailable:
            await self._file.__aexit__(None, None, None)
            raise
        self._denials.newest.extendleft(reversed(kept))
        if self._follows:
            self._tail = Tail(self._log_file, place)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.step()
        finally:
            await self._file.__aexit__(kind, error, trace)

    async def run(self) -> Never:
        """Read the log and keep what is new, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)  # a file that grows sends no event
            await self.step()

    async def step(self) -> None:
        """Do it once. What cannot be read or kept is tried again at the next one, and said."""
        before = self._tail.place if self._tail is not None else None
        try:
            for line in self._tail.read() if self._tail is not None else ():
                self._denials.observe_file(line)
        except OSError as error:
            _log.error("the broker's log cannot be read, trying again", file=str(self._log_file), why=error.strerror)
        place = self._tail.place if self._tail is not None else None
        seen = self._denials.seen
        new = list(self._denials.newest)[max(0, len(self._denials.newest) - (seen - self._kept)) :]
        if seen == self._kept and place == before:
            return
        try:
            await self._file.run(lambda connection: _keep(connection, new, place, self._denials.newest.maxlen or 0))
        except StateUnavailable as error:
            _log.error("who was turned away cannot be recorded, trying again", why=str(error))
            return
        self._kept = seen


def _load(connection: Connection) -> tuple[list[Denial], Place | None]:
    rows = connection.execute("SELECT denial FROM denials ORDER BY number").fetchall()
    place = connection.execute("SELECT inode, offset FROM place").fetchone()
    return [_decode(row[0]) for row in rows], Place(*place) if place is not None else None


def _keep(connection: Connection, new: list[Denial], place: Place | None, most: int) -> None:
    with transaction(connection):
        connection.executemany(
            "INSERT INTO denials (denial) VALUES (?)", ((msgspec.json.encode(each).decode(),) for each in new)
        )
        connection.execute("DELETE FROM denials WHERE number <= (SELECT max(number) FROM denials) - ?", (most,))
        if place is not None:
            connection.execute("INSERT OR REPLACE INTO place VALUES (1, ?, ?)", place)
