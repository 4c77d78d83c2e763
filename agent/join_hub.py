"""What a machine that joins asks of the hub: HTTPS, where only the fingerprint of the authority is known at first."""

from __future__ import annotations

import hashlib
import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any, Final

_LIMIT_S: Final = 15.0
_MOST_BYTES: Final = 1 << 20


class JoinError(Exception):
    """It did not work; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class JoinHub:
    """The endpoint of a hub where machines join; every call raises ``JoinError``."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def authority(self, fingerprint: str) -> str:
        """The authority's certificate, PEM; anybody may send it, only the right one is taken.

        Args:
            fingerprint: SHA-256 of its DER form, hexadecimal.
        """
        blind = ssl.create_default_context()
        blind.check_hostname = False
        blind.verify_mode = ssl.CERT_NONE  # what comes is compared with the fingerprint; nothing secret is sent
        status, body = self._request(blind, "/ca.crt")
        pem = body.decode("ascii", "replace")
        try:
            found = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.strip())).hexdigest()
        except ValueError as error:
            raise JoinError(f"{self} is no hub that takes new nodes (HTTP status {status})") from error
        if found != fingerprint:
            raise JoinError(
                f"{self} is not the hub that this token is for: its authority has the fingerprint {found}, the token "
                f"names {fingerprint}. Somebody may be in between; the token was not sent."
            )
        return pem

    def post(self, authority: str, path: str, body: dict[str, str]) -> dict[str, Any]:
        """Ask the hub, verified by ``authority`` and by its name."""
        try:
            context = ssl.create_default_context(cadata=authority)
        except ssl.SSLError as error:
            raise JoinError(f"the authority's certificate cannot be used: {error}") from error
        status, answer = self._request(context, path, json.dumps(body).encode())
        try:
            said = json.loads(answer) if answer else {}
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise JoinError(f"{self} answered something else than this version expects (HTTP status {status})")
        if status >= http.client.BAD_REQUEST:
            raise JoinError(f"the hub refused: {printable(said.get('detail') or f'HTTP status {status}')}")
        return said

    def _request(self, context: ssl.SSLContext, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """GET, or POST where there is a body: status and answer."""
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=_LIMIT_S, context=context)
        method, headers = ("POST", {"Content-Type": "application/json"}) if body is not None else ("GET", {})
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(_MOST_BYTES)
        except ssl.SSLCertVerificationError as error:
            raise JoinError(
                f"{self} has a certificate that is not good for it: {error.verify_message}. On the hub: "
                f"iothub tls renew --name {self.host}"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise JoinError(
                f"no answer from {self}: {error}. Does the hub run, with broker.lan.enabled = true, and does a "
                "firewall let the port through?"
            ) from error
        finally:
            connection.close()


def printable(text: object) -> str:
    """Text from elsewhere cannot steer the terminal."""
    return "".join(c if c.isprintable() else "?" for c in str(text))[:500]
