"""Sending lines, and what each answer of the server means.

    2xx            stored
    400, 422       some line is bad: the same again once (a new shard of 1.x refuses all for one, and takes the rest the
                   second time), then halves of halves until the bad lines stand alone; they alone are refused
    413            halves; what is sent later is no longer than that
    401, 403, 404  kept, and said: nobody but a person can change that
    429, 5xx       later, when the server says so: what of the lines is stored is unknown, and does not matter
    no answer      later, likewise

Writing the same line again changes nothing, which is what makes all of this right.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from hub.store.base import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from hub.store.influx_http import Reply

    #: Sends a body, compressed or not as the sender was told; any status is a reply.
    Post = Callable[[bytes], Awaitable[Reply]]

_BAD_LINES: Final = frozenset({400, 422})
_TOO_LARGE: Final = 413
#: Answers that a person has to change something for: asked again slowly.
_REFUSED: Final = frozenset({401, 403, 404})
_REFUSED_WAIT_S: Final = 10.0
#: 400 answers that are about the request, not about a line of it.
_ABOUT_THE_REQUEST: Final = ("is required", "invalid precision", "retention policy not found", "authorization")
#: What servers take by default is 25 MB (1.x) to 50 MB (2.x); proxies often 1 MB, which is learnt.
_MAX_BYTES: Final = 4 << 20
_MIN_BYTES: Final = 16 << 10
_LONGEST_REASON: Final = 300

_log = structlog.get_logger(__name__)


class Sender:
    """Sends lines to one database.

    Args:
        post: one request.
        server: words for the server and its address, in errors.
        database: words for where in it, in errors.
        is_gzip: whether bodies are compressed.
    """

    def __init__(self, post: Post, *, server: str, database: str, is_gzip: bool) -> None:
        self._post = post
        self._server = server
        self._database = database
        self._is_gzip = is_gzip
        #: Most bytes of a request, before compression.
        self.max_bytes = _MAX_BYTES

    async def send(self, lines: Sequence[str]) -> dict[int, str]:
        """Store all lines but those that the server refuses for good: their positions, and its reasons.

        Raises:
            StoreUnavailable: some line is not known to be stored; send all of them again.
        """
        refused: dict[int, str] = {}
        for start, stop in list(self._parts(lines)):
            reply = await self._request(lines, start, stop)
            if _is_about_lines(reply) and stop - start > 1:
                reply = await self._request(lines, start, stop)
            await self._settle(lines, start, stop, reply, refused)
        if refused:
            _log.warning(
                "InfluxDB refused lines", lines=len(refused), of=len(lines), first_reason=next(iter(refused.values()))
            )
        return refused

    async def _settle(self, lines: Sequence[str], start: int, stop: int, reply: Reply, refused: dict[int, str]) -> None:
        """Divide and send until each line from ``start`` to ``stop`` is stored or refused; in order."""
        open_parts = [(start, stop, reply)]
        while open_parts:
            start, stop, reply = open_parts.pop()
            if 200 <= reply.status < 300:  # noqa: PLR2004  what 2xx means
                continue
            if not _is_about_lines(reply) and reply.status != _TOO_LARGE:
                raise self._unavailable(reply)
            if stop - start == 1:
                refused[start] = reason_of(reply)
                continue
            if reply.status == _TOO_LARGE:
                size = sum(len(line) + 1 for line in lines[start:stop])
                self.max_bytes = max(_MIN_BYTES, min(self.max_bytes, size // 2))
            middle = (start + stop) // 2
            first = await self._request(lines, start, middle)
            open_parts.append((middle, stop, await self._request(lines, middle, stop)))
            open_parts.append((start, middle, first))

    async def _request(self, lines: Sequence[str], start: int, stop: int) -> Reply:
        body = "\n".join(lines[start:stop]).encode()
        return await self._post(gzipped(body) if self._is_gzip else body)

    def _parts(self, lines: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Ranges of lines of at most ``max_bytes``, or of one line."""
        start = size = 0
        for at, line in enumerate(lines):
            length = len(line) + 1
            if size and size + length > self.max_bytes:
                yield start, at
                start, size = at, 0
            size += length
        if start < len(lines):
            yield start, len(lines)

    def _unavailable(self, reply: Reply) -> StoreUnavailable:
        said = f"{self._server} answered {reply.status}: {reason_of(reply)}"
        wait_s = reply.retry_after_s
        if reply.status in (401, 403):
            advice = f"give a token or user that may write to {self._database} in [store.influx]"
        elif reply.status == 404:  # noqa: PLR2004  the status itself
            advice = f"create {self._database}, or correct store.influx.database, org or url"
        elif "retention policy not found" in reason_of(reply):
            advice, wait_s = "create the retention policy, or correct store.influx.retention_policy", _REFUSED_WAIT_S
        elif reply.status in _BAD_LINES:
            advice = "check store.influx.database, org and generation"
        else:
            advice = "it is busy or has a fault; its log says more"
        if reply.status in _REFUSED or reply.status in _BAD_LINES:
            wait_s = wait_s or _REFUSED_WAIT_S
        return StoreUnavailable(f"{said}; {advice}. Nothing is lost meanwhile", wait_s)


def gzipped(body: bytes) -> bytes:
    """``body`` compressed quickly rather than well: 0.6 µs a line instead of 5, for a third more bytes."""
    packer = zlib.compressobj(1, wbits=31)
    return packer.compress(body) + packer.flush()


def reason_of(reply: Reply) -> str:
    """The server's own words, shortened: JSON of 1.x, 2.x or 3.x, or the text as it is."""
    try:
        found: Any = msgspec.json.decode(reply.body)
    except msgspec.DecodeError:
        found = None
    said = ""
    if isinstance(found, dict):
        said = _of_first_line(found.get("data")) or str(found.get("message") or found.get("error") or "")
    said = said or reply.body.decode(errors="replace").strip() or "no reason given"
    return said if len(said) <= _LONGEST_REASON else f"{said[: _LONGEST_REASON - 1]}…"


def _of_first_line(data: Any) -> str:
    """3.x: ``data`` lists what is wrong with each line."""
    entry = data[0] if isinstance(data, list) and data else data
    return str(entry.get("error_message") or "") if isinstance(entry, dict) else ""


def _is_about_lines(reply: Reply) -> bool:
    return reply.status in _BAD_LINES and not any(words in reason_of(reply) for words in _ABOUT_THE_REQUEST)
