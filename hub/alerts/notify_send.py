"""Sends one message to one channel. ``apprise`` lives here; its errors and its log end here, without what is secret.

send ─▶ address (read anew: it may have changed) ─▶ apprise, in a thread ─┬─▶ taken
                                                                          ├─▶ SendFailed: why
                                                                          └─▶ no answer in time: SendFailed
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from typing import TYPE_CHECKING, Any, Final, Protocol

from hub.alerts.notify_mask import Mask, host_of
from hub.paths import read_secret
from hub.rules.events import Severity
from wire.errors import Problem, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from apprise import Apprise

    from hub.config_notify import ChannelSettings

_LONGEST_WHY: Final = 300
#: What apprise says at level debug and people need: the reason of the error before it.
_REASONS: Final = ("Socket Exception:", "Response Details:")


class SendFailed(Exception):  # noqa: N818  the name says what happened
    """The channel did not take it; the text says why and holds nothing secret. Trying again may help."""


class Sender(Protocol):
    """One channel. ``send`` is called by one task at a time."""

    @property
    def service(self) -> str:
        """E.g. ``E-Mail via mail.example.org``, for people; empty where the address cannot be read."""

    async def send(self, title: str, body: str, severity: Severity, *, resolved: bool) -> None:
        """Return when the channel took it.

        Raises:
            SendFailed: it did not.
        """


class AppriseSender:
    """A channel behind an apprise URL; every call reads the URL anew, so that a changed file needs no restart.

    Args:
        settings: the channel.
        timeout_s: it has failed when it has not answered by then. Its thread may live longer; until it ends, nothing
            else is sent to this channel.
    """

    def __init__(self, settings: ChannelSettings, timeout_s: float) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._idle: threading.Event | None = None

    @property
    def service(self) -> str:
        try:
            url = read_url(self._settings)
            name = _service(_opened(url))
        except SendFailed:
            return ""
        host = host_of(url)
        return f"{name} via {host}" if host else name

    async def send(self, title: str, body: str, severity: Severity, *, resolved: bool) -> None:
        if self._idle is not None and not self._idle.is_set():
            raise SendFailed("the message before is still being sent; the channel does not answer")
        url = await asyncio.to_thread(read_url, self._settings)
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        kind = _kind(severity, resolved=resolved)
        self._idle = _in_thread(lambda: _notify(url, title, body, kind), done, self._settings.name)
        try:
            async with asyncio.timeout(self._timeout_s):
                why = await done
        except TimeoutError:
            raise SendFailed(f"no answer within {self._timeout_s:g} s") from None
        if why:
            raise SendFailed(why)


def read_url(settings: ChannelSettings) -> str:
    """The address of a channel.

    Raises:
        SendFailed: its file or variable cannot be read, or is empty.
    """
    if settings.url_file is not None:
        try:
            url = read_secret(settings.url_file)
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise SendFailed(f"url_file {settings.url_file} cannot be read: {why}") from None
        where = f"url_file {settings.url_file}"
    elif settings.url_env is not None:
        url, where = os.environ.get(settings.url_env, "").strip(), f"environment variable {settings.url_env}"
    else:
        url, where = settings.url.get_secret_value().strip() if settings.url is not None else "", "url"
    if not url:
        raise SendFailed(f"{where} is empty")
    return url


def check_channels(channels: Sequence[ChannelSettings]) -> None:
    """Check what the settings' types cannot say: that each address can be read and understood. Sends nothing.

    Raises:
        SettingsError: with one problem for each address that cannot; no address is in it.
    """
    problems = []
    for i, channel in enumerate(channels):
        try:
            _opened(read_url(channel))
        except SendFailed as error:
            problems.append(Problem("settings", None, f"notify.channels[{i}]", None, f"{channel.name}: {error}"))
    if problems:
        raise SettingsError(problems)


# -- in the thread -----------------------------------------------------------------------------------------------------


def _in_thread(work: Callable[[], str], done: asyncio.Future[str], name: str) -> threading.Event:
    """Run ``work`` in a thread that holds up nobody, not even the end of the process; it has ended once this is set.

    Not the end of the thread: that comes a moment after ``done``, and whoever sends again at once would find it alive.
    """
    loop, idle = done.get_loop(), threading.Event()

    def settle(why: str) -> None:
        if not done.done():
            done.set_result(why)

    def run() -> None:
        try:
            why = work()
        finally:
            idle.set()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, why)

    threading.Thread(target=run, name=f"notify-{name}", daemon=True).start()
    return idle


def _notify(url: str, title: str, body: str, kind: str) -> str:
    """Send; why not, or nothing."""
    mask = Mask(url)
    try:
        result = _opened(url).notify(
            body=body, title=title, notify_type=kind, body_format="text", log_level=logging.DEBUG
        )
    except SendFailed as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  a plugin of many hands: whatever it raises, this channel failed and no other
        return mask(f"{type(error).__name__}: {error}")[:_LONGEST_WHY]
    with result:
        return "" if result else mask(_why(result))[:_LONGEST_WHY]


def _opened(url: str) -> Apprise:
    """The service behind ``url``.

    Raises:
        SendFailed: apprise does not understand it.
    """
    _keep_quiet()
    from apprise import Apprise, AppriseAsset  # noqa: PLC0415  loads some hundred services: only who sends pays for it

    service = Apprise(asset=AppriseAsset(app_id="iothub", app_desc="iothub", app_url="", async_mode=False))
    if not service.add(url):
        scheme = url.partition("://")[0] if "://" in url else ""
        known = (
            f"the part after {scheme}:// is not what that service needs" if scheme.isalnum() else "it has no scheme://"
        )
        raise SendFailed(f"apprise does not understand the address: {known}, or there is no such service")
    return service


def _service(service: Apprise) -> str:
    return str(next(iter(service)).service_name)


def _keep_quiet() -> None:
    """Apprise logs whole addresses; they go to the result of the call alone, which is masked."""
    log = logging.getLogger("apprise")
    log.propagate = False
    log.setLevel(logging.DEBUG)
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    # At level debug it logs paths, which hold the tokens of many services.
    logging.getLogger("urllib3").setLevel(logging.ERROR)


def _why(result: Any) -> str:
    """The last error of a failed call with its reason."""
    error, reason = "", ""
    for entry in result.logs():
        text = " ".join(str(entry.message).split())
        if entry.level in {"WARNING", "ERROR", "CRITICAL"}:
            error, reason = text, ""
        elif text.startswith(_REASONS):
            reason = _core(text.partition(":")[2].strip())
    return f"{error.rstrip('.')}: {reason}" if error and reason else error or reason or "the service refused it"


def _core(reason: str) -> str:
    """The heart of a nested error of ``requests``."""
    _, nested, heart = reason.rpartition("Caused by ")
    if not nested:
        return reason
    found = heart.rpartition(": ")[2].strip("\"') ")
    return found + ")" * (found.count("(") - found.count(")"))


def _kind(severity: Severity, *, resolved: bool) -> str:
    """How apprise calls it: colours and icons of many services go by this."""
    if resolved:
        return "success"
    return {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "failure"}[severity]
