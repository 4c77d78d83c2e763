"""Alerts made up for tests of notifications, and receivers that really listen: an SMTP server, an HTTP endpoint."""

from __future__ import annotations

import contextlib
import json
import threading
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from msgspec.structs import replace

from hub.alerts.model import Alert, AlertChange, AlertState, Change
from hub.rules.events import Severity
from tests.support.mosquitto import free_port
from wire.point import NS_PER_S, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage

    from aiosmtpd.smtp import SMTP, Envelope, Session

#: A Sunday, 12:00 in UTC.
NOON_NS = 1_795_348_800 * NS_PER_S


def ns(seconds: float) -> int:
    return int(seconds * NS_PER_S)


def firing(number: int, *, node: str = "boiler-1", rule: str = "room-hot", **values: Any) -> Alert:
    """An alert that began 60 s before noon and fires."""
    made = Alert(
        id=number,
        rule=rule,
        node=node,
        key=SeriesKey(node, "room", ()),
        field="temperature",
        state=AlertState.FIRING,
        severity=Severity.WARNING,
        worst=Severity.WARNING,
        message=f"{node}: 31.5 °C in the room, above 30",
        value=31.5,
        started_ns=NOON_NS - ns(60),
        fired_ns=NOON_NS,
        changed_ns=NOON_NS,
    )
    return replace(made, **values)


def acknowledged(alert: Alert) -> Alert:
    return replace(alert, state=AlertState.ACKNOWLEDGED, acknowledged_ns=NOON_NS, acknowledged_by="ann")


def resolved(alert: Alert, after_s: float = 120.0) -> Alert:
    return replace(alert, state=AlertState.RESOLVED, resolved_ns=alert.started_ns + ns(after_s))


def change_to(alert: Alert) -> AlertChange:
    """The change that made an alert what it is."""
    change = Change.FIRING if alert.state is AlertState.FIRING else Change(alert.state.value)
    return AlertChange(change=change, alert=alert, before=None, at_ns=alert.changed_ns)


class Mailbox:
    """A real SMTP server on a free port; refuses with ``refusal`` while that is set."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refusal = ""
        self.port = 0

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  its name
        if self.refusal:
            return self.refusal
        self.mails.append(message_from_bytes(envelope.original_content or b"", policy=policy.default))
        return "250 OK"

    @property
    def url(self) -> str:
        """Account ``ops``, password ``hunter2-mail``."""
        return (
            f"mailto://ops:hunter2-mail@example.org:{self.port}?smtp=127.0.0.1&mode=insecure"
            "&from=iothub@example.org&to=ops@example.org"
        )


@contextlib.contextmanager
def smtp_server() -> Iterator[Mailbox]:
    mailbox = Mailbox()
    controller = Controller(
        mailbox, hostname="127.0.0.1", port=free_port(), authenticator=_login, auth_require_tls=False
    )
    controller.start()
    mailbox.port = controller.port
    try:
        yield mailbox
    finally:
        controller.stop()


def _login(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, account: object) -> AuthResult:
    right = isinstance(account, LoginPassword) and (account.login, account.password) == (b"ops", b"hunter2-mail")
    return AuthResult(success=right)


class Webhook:
    """A real HTTP endpoint; answers with ``status``, holding each request while ``open`` is not set."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.tries = 0
        self.status = 200
        self.open = threading.Event()
        self.open.set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"json://hook:secret-pw@127.0.0.1:{self.port}/hook/secret-token-1234"

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.received]


@contextlib.contextmanager
def http_endpoint() -> Iterator[Webhook]:
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.tries += 1
            hook.open.wait(60)
            if hook.status == 200:
                hook.received.append(json.loads(body))
            with contextlib.suppress(OSError):
                self.send_response(hook.status)
                self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hook.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        hook.open.set()
        server.shutdown()
        server.server_close()
