"""What ``iothub doctor`` says of the network listeners: certificates that end."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from hub.cli.base import state_paths
from hub.cli.finding import FAILED, OK, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.config import Settings


def examine_certificates(settings: Settings) -> Iterator[Finding]:
    """One finding for all certificates, or one for each that is about to end."""
    from hub.broker.lan import certificates_of
    from hub.tls.authority import TlsError

    lan = settings.broker.lan
    if not lan.enabled:
        yield Finding("network", OK, "closed: everything listens on this machine only")
        return
    certificates = certificates_of(settings, state_paths(settings))
    try:
        issued = [each for each in certificates.everything() if each.revoked is None]
    except (TlsError, OSError, UnicodeDecodeError) as error:
        yield Finding("network", FAILED, f"broker.lan.enabled, but: {error}")
        return
    now = dt.datetime.now(dt.UTC)
    newest = {(each.kind, each.facts.name): each.facts.ends for each in issued}
    soon = {who: ends for who, ends in newest.items() if (ends - now).total_seconds() < lan.expiry_warning}
    for (kind, name), ends in soon.items():
        argument = f" {name}" if kind == "node" else ""
        advice = "iothub tls init --replace" if kind == "ca" else f"iothub tls renew{argument}"
        yield Finding("network", FAILED, f"certificate of {kind} {name} ends {ends:%Y-%m-%d}: {advice}")
    if not soon:
        first = min(newest.values())
        yield Finding(
            "network", OK, f"{lan.host}:{lan.port}, TLS; the first of {len(newest)} certificates ends {first:%Y-%m-%d}"
        )
