"""Opening the broker to the network: what it takes, and the certificates where the broker finds them.

    {state}/tls ──install()──▶ {state}/mosquitto/data/{ca.crt, server.crt, server.key, revoked.crl} ──▶ Mosquitto
         ▲                                                                            SIGHUP ──▶ reads them again
    iothub tls … ──reload()──▶ SIGUSR1 to ``iothub up`` ──────────────────────────────┘

Mosquitto reads certificates as the user that it has become, which cannot walk through the state directory.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
from typing import TYPE_CHECKING, Final

import structlog

from hub.broker import locate
from hub.broker.config import AUTHORITY_FILE, CRL_FILE, SERVER_FILE, SERVER_KEY_FILE
from hub.broker.errors import LanRefused
from hub.broker.ports import claim_port
from hub.config import BrokerMode
from hub.lock import Locked, held
from hub.paths import write_secret
from hub.tls.authority import TlsError
from hub.tls.certificates import Certificates

if TYPE_CHECKING:
    from pathlib import Path

    from hub.config import Settings
    from hub.config_lan import LanSettings
    from hub.paths import StatePaths

#: Tells ``iothub up`` to have the broker read its certificates again.
RELOAD: Final = signal.SIGUSR1

_log = structlog.get_logger("hub.broker")


def certificates_of(settings: Settings, paths: StatePaths) -> Certificates:
    """The authority of this state directory, whether there is one or not."""
    return Certificates(paths.tls, lifetime=dt.timedelta(seconds=settings.broker.lan.certificate_lifetime))


def admitted(settings: Settings, paths: StatePaths) -> Certificates | None:
    """What the network listeners take; None when none are asked for.

    Accounts there are always: the managed broker never starts without them. Its certificate is renewed when it ends
    soon.

    Raises:
        LanRefused: there are no certificates, or they cannot be used.
    """
    if not settings.broker.lan.enabled:
        return None
    certificates = certificates_of(settings, paths)
    if not certificates.exists:
        raise LanRefused(
            "broker.lan.enabled opens the broker to the network, and that is done with TLS only, for which there are "
            "no certificates yet. Make them: iothub tls init --name NAME (name or address by which other machines "
            "reach this one)"
        )
    try:
        if certificates.renew_server_in_time():
            _log.info("certificate of the broker renewed", ends=certificates.server().ends.isoformat())
        certificates.everything()
    except (TlsError, OSError, UnicodeDecodeError) as error:
        raise LanRefused(f"broker.lan.enabled: the certificates in {certificates.folder}: {error}") from error
    return certificates


def claim_ports(lan: LanSettings) -> None:
    """See that nobody listens on the ports of the network listeners.

    Raises:
        PortTaken, BrokerError: as :func:`hub.broker.ports.claim_port`.
    """
    if lan.enabled:
        for name in ("port", "certificate_port"):
            if port := getattr(lan, name):
                claim_port(lan.host, port, setting=f"broker.lan.{name}")


def install(certificates: Certificates, data: Path, owner: tuple[int, int] | None) -> None:
    """Copy what the broker needs into its folder ``data``; the authority's key is not among it.

    Raises:
        OSError: a file cannot be read or written.
    """
    certificate, key = certificates.server_files
    for source, name in (
        (certificates.authority_file, AUTHORITY_FILE),
        (key, SERVER_KEY_FILE),
        (certificate, SERVER_FILE),
        (certificates.crl_file, CRL_FILE),
    ):
        write_secret(data / name, source.read_text(encoding="ascii").rstrip(), owner=owner)


def reload(settings: Settings, paths: StatePaths) -> bool:
    """Give the running broker what the authority's folder holds now; False when no ``iothub up`` runs here.

    Connections go on; new ones see the new certificates and the new revocation list.

    Raises:
        OSError: a file cannot be written, or the process is another user's.
    """
    data = paths.broker / "data"
    if settings.broker.mode is not BrokerMode.MANAGED or not settings.broker.lan.enabled or not data.is_dir():
        return False
    user = locate.run_as()
    install(certificates_of(settings, paths), data, (user.uid, user.gid) if user is not None else None)
    try:
        with held(paths.root / "up.lock"):
            return False
    except Locked as error:
        if not str(error.pid).isdigit():
            return False
        with contextlib.suppress(ProcessLookupError):  # it ends just now
            os.kill(int(error.pid), RELOAD)
            return True
        return False
