"""The hub on the network: the endpoint that machines join through, and certificates that are about to end.

settings.broker.lan.enabled ─▶ {state}/tls ─▶ TLS context ─▶ join endpoint (``hub/api/joining.py``)
                                  │  looked at every minute: renewed ones are taken up
                                  └─▶ days left ─▶ metric, health, warning a day
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from typing import TYPE_CHECKING, Final, Never

import structlog

from hub.api.joining import create_join_app
from hub.api.parts import HealthLink
from hub.api.server import ServeError, serve
from hub.broker.lan import certificates_of
from hub.tls.authority import TlsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from hub.api.parts import Parts
    from hub.config import Settings
    from hub.metrics import Metrics
    from hub.paths import StatePaths
    from hub.tls.certificates import Certificates, Issued

_LOOK_EVERY_S: Final = 60.0
_WARN_EVERY_S: Final = 86_400.0
_DAY_S: Final = 86_400.0

_log = structlog.get_logger("hub.lan")


class Lan:
    """What the hub has to do with the network; nothing, where ``broker.lan`` is off.

    Args:
        settings: ``broker.lan``.
        paths: where the certificates are.
        metrics: shows when they end.
        clock_s: wall clock.
    """

    def __init__(
        self, settings: Settings, paths: StatePaths, metrics: Metrics, *, clock_s: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings.broker.lan
        self._clock_s = clock_s
        found = certificates_of(settings, paths) if self._settings.enabled else None
        #: Called with ``certificate_days`` whenever the certificates were looked at.
        self.tell: Callable[[Mapping[str, float]], None] = lambda _figures: None
        #: None where the network is closed.
        self.certificates: Certificates | None = found
        self._context: ssl.SSLContext | None = None
        self._loaded = (0, 0)
        #: Kind and name → when it ends, s since the epoch; the newest certificate of each.
        self._ends: dict[tuple[str, str], float] = {}
        self._warned_s = 0.0
        self.trouble = ""
        if found is not None:
            self.look()
            metrics.gauge(
                "iothub_certificate_ends_timestamp_seconds",
                "When the first certificate that is in use ends",
                lambda: min(self._ends.values(), default=0.0),
            )

    @contextlib.asynccontextmanager
    async def serving(self, parts: Parts) -> AsyncIterator[None]:
        """Let machines join while the body runs.

        Raises:
            ServeError: the address cannot be listened on, or the certificates cannot be used.
        """
        lan = self._settings
        if self.certificates is None or not lan.join_port:
            yield
            return
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.look()
        if self.trouble:
            raise ServeError(f"broker.lan.enabled: {self.trouble}")
        setting = "[broker.lan] join_port"
        async with serve(create_join_app(parts), lan.host, lan.join_port, tls=self._context, setting=setting):
            _log.info("machines may join", host=lan.host, port=lan.join_port)
            yield

    async def run(self) -> Never:
        """Look at the certificates now and then."""
        while True:
            self.look()
            await asyncio.sleep(_LOOK_EVERY_S)

    def look(self) -> None:
        """Read the certificates again, take up a renewed one, warn of those that end soon."""
        certificates = self.certificates
        if certificates is None:
            return
        try:
            self._take_up(certificates)
            certificates.forget_ended()
            issued = certificates.everything()
        except (TlsError, OSError, UnicodeDecodeError) as error:
            if str(error) != self.trouble:
                _log.error("the certificates cannot be used", why=str(error))
            self.trouble = str(error)
            return
        self.trouble = ""
        self._ends = _newest(issued)
        now_s = self._clock_s()
        self.tell({"certificate_days": min(self.days_left().values())})
        if (soon := self.soon()) and now_s - self._warned_s >= _WARN_EVERY_S:
            self._warned_s = now_s
            _log.warning("certificates end soon; renew them: iothub tls renew", certificates=soon)

    def soon(self) -> list[str]:
        """The certificates that end within ``expiry_warning``, or have ended, in words."""
        now_s = self._clock_s()
        return [
            f"{kind} {name} {_left((ends_s - now_s) / _DAY_S)}"
            for (kind, name), ends_s in sorted(self._ends.items(), key=lambda item: item[1])
            if ends_s - now_s < self._settings.expiry_warning
        ]

    def days_left(self) -> dict[str, float]:
        """Days until each certificate ends, by ``kind/name``."""
        now_s = self._clock_s()
        return {f"{kind}/{name}": (ends_s - now_s) / _DAY_S for (kind, name), ends_s in self._ends.items()}

    def health(self) -> tuple[HealthLink, ...]:
        """One link, where the network is open; it breaks when the hub's own certificates are no good any more."""
        if self.certificates is None:
            return ()
        if self.trouble:
            return (HealthLink("certificates", ok=False, detail=self.trouble),)
        now_s = self._clock_s()
        ended = any(kind != "node" and ends_s <= now_s for (kind, _), ends_s in self._ends.items())
        if soon := self.soon():
            return (HealthLink("certificates", not ended, f"{', '.join(soon)}; renew: `iothub tls renew`"),)
        days = min(self.days_left().values(), default=0.0)
        return (HealthLink("certificates", ok=True, detail=f"the first of {len(self._ends)} ends in {days:.0f} days"),)

    def _take_up(self, certificates: Certificates) -> None:
        """Certificate and key that are new; connections go on with the former."""
        if self._context is None:
            return
        certificate, key = certificates.server_files
        written = (certificate.stat().st_mtime_ns, key.stat().st_mtime_ns)
        if written != self._loaded:
            self._context.load_cert_chain(certificate, key)
            self._loaded = written


def _newest(issued: list[Issued]) -> dict[tuple[str, str], float]:
    """When the newest certificate ends that each has, revoked ones left out."""
    ends: dict[tuple[str, str], float] = {}
    for each in issued:
        if each.revoked is None:
            key = (each.kind, each.facts.name)
            ends[key] = max(ends.get(key, 0.0), each.facts.ends.timestamp())
    return ends


def _left(days: float) -> str:
    return f"ends in {days:.0f} days" if days > 0 else f"ended {-days:.0f} days ago"
