"""The managed broker opened to the network: TLS listeners, certificates, and what it logs about those it turned away.

``with Opened(tmp_path) as broker``; ``broker.by_tls(mqtt)`` moves a client of the loopback listener to the TLS one,
``broker.by_certificate("n1")`` connects with a client certificate.
"""

from __future__ import annotations

import socket
import struct
from collections import Counter
from typing import TYPE_CHECKING, Self

from hub.broker.config import ACCOUNTS_FILE
from hub.broker.lan import certificates_of
from hub.broker.sieve import Sieve
from hub.broker.wills import Rights
from hub.config import Settings
from hub.denials import Denials
from hub.paths import StatePaths, write_secret
from tests.support.device import Device
from tests.support.mosquitto import free_port
from tests.support.secured import Secured
from tests.support.waiting import wait_until
from wire.settings import MqttSettings

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from hub.tls.authority import Signed


def lan_settings(**changes: object) -> dict[str, object]:
    """``broker.lan`` on free loopback ports."""
    ports = {"port": free_port(), "certificate_port": free_port(), "join_port": free_port()}
    return {"enabled": True, "host": "127.0.0.1", "names": ["localhost"], **ports, **changes}


class Opened(Secured):
    """A broker that also listens by TLS, below ``root / "var"``."""

    def __init__(self, root: Path, **lan: object) -> None:
        changes = {"broker": {"lan": lan_settings(**lan), "max_packet_bytes": 1 << 16, "record_denied": True}}
        settings = Settings.model_validate(changes)
        paths = StatePaths(root / "var")
        paths.make()
        self.certificates = certificates_of(settings, paths)
        self.certificates.make("test-hub", ["localhost", "127.0.0.1"])
        super().__init__(root, changes)

    @property
    def lan(self) -> tuple[int, int]:
        """Ports: password in TLS, certificate."""
        return self.settings.broker.lan.port, self.settings.broker.lan.certificate_port

    def by_tls(self, mqtt: MqttSettings) -> MqttSettings:
        update = {"host": "localhost", "port": self.lan[0], "tls": True, "ca_file": self.certificates.authority_file}
        return mqtt.model_copy(update=update)

    def by_certificate(self, name: str, made: Signed | None = None) -> MqttSettings:
        """With a new certificate of ``name``, or the given one."""
        signed = made or self.certificates.issue(name)
        folder = self.paths.root / "given"
        folder.mkdir(exist_ok=True)
        write_secret(folder / f"{name}.key", signed.key)
        write_secret(folder / f"{name}.crt", signed.certificate)
        return MqttSettings(
            host="localhost",
            port=self.lan[1],
            tls=True,
            ca_file=self.certificates.authority_file,
            cert_file=folder / f"{name}.crt",
            key_file=folder / f"{name}.key",
            client_id=name,
        )


class Witness:
    """What a hub that listens to the broker's log records while the body runs."""

    def __init__(self, broker: Secured) -> None:
        self._hub = Device(broker.hub(), session_expiry_s=0)
        self.kinds: Counter[str] = Counter()
        rights = Rights(broker.child.data / ACCOUNTS_FILE, broker.settings.mqtt.root)
        self.denials = Denials(lambda kind: self.kinds.update([kind]), may_publish=rights.may_publish)
        self._taken = 0
        #: What ``iothub up`` makes of the broker's log.
        self._sieve = Sieve(broker.settings.mqtt.root)
        self._log = broker.log
        self._log_bytes = broker.log.stat().st_size

    def __enter__(self) -> Self:
        self._hub.__enter__()
        assert self._hub.subscribe("$SYS/broker/log/#") < 0x80
        return self

    def __exit__(self, *_: object) -> None:
        self._hub.disconnect()

    def refused(self, kind: str, *whats: tuple[str, str]) -> bool:
        """Whether exactly these pairs of client and topic are recorded with this kind, within some seconds."""
        self.recorded(kind, len(whats))
        found = [(denial.client, denial.topic) for denial in self.denials.newest if denial.kind == kind]
        return sorted(found) == sorted(whats)

    @property
    def hub_lives(self) -> bool:
        return self._hub.ended is None

    def recorded(self, kind: str, count: int = 1) -> bool:
        """Whether so many of a kind were recorded, within some seconds."""

        def enough() -> bool:
            new = self._hub.messages[self._taken :]
            self._taken += len(new)
            for message in new:
                self.denials.observe(bytes(message.payload))
            with self._log.open("rb") as file:
                file.seek(self._log_bytes)
                whole, newline, _ = file.read().rpartition(b"\n")
            self._log_bytes += len(whole + newline)
            for line in self._sieve(whole):
                self.denials.observe_file(line)
            return self.kinds[kind] >= count

        wait_until(enough, what=f"{count} denials of kind {kind}: {self.kinds}")
        return True


def raw(port: int, *packets: bytes, tls: ssl.SSLContext | None = None) -> bytes:
    """Send bytes; what comes back until the broker ends the connection or is silent for a second."""
    with socket.create_connection(("localhost", port), timeout=60) as plain:
        connection = tls.wrap_socket(plain, server_hostname="localhost") if tls is not None else plain
        answer = b""
        try:
            for packet in packets:
                connection.sendall(packet)
            connection.settimeout(1)
            while more := connection.recv(4096):
                answer += more
        except (TimeoutError, ConnectionError, BrokenPipeError):
            pass
        finally:
            connection.close()
        return answer


def connect_packet(client_id: str, username: str, password: str) -> bytes:
    """CONNECT of MQTT 5."""

    def text(value: str) -> bytes:
        data = value.encode()
        return struct.pack(">H", len(data)) + data

    body = text("MQTT") + bytes([5, 0xC2]) + struct.pack(">H", 30) + b"\0" + text(client_id)
    body += text(username) + text(password)
    return bytes([0x10, len(body)]) + body
