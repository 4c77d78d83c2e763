"""One uvicorn process: the login, the gate, and Streamlit behind it.

browser ─▶ Gate ─┬─ /login… /logout ─▶ Login ─▶ API: POST|DELETE token
                 └─ everything else, with a valid cookie only ─▶ Streamlit ─▶ main.py ─▶ API with the viewer's token
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import streamlit as st
import uvicorn
from starlette.middleware import Middleware

from dashboard.client import Client
from dashboard.gate import Gate
from dashboard.identity import Identities
from dashboard.login import Login
from dashboard.names import API_URL, CA_FILE, READY, REFRESH
from dashboard.shell import shell_routes

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from dashboard.config import DashboardSettings

_SCRIPT: Final = Path(__file__).with_name("main.py")
_BACKLOG: Final = 256
_STOP_LIMIT_S: Final = 3


def application(settings: DashboardSettings, client: Client) -> ASGIApp:
    """The whole ASGI application."""
    os.environ[API_URL] = settings.api_url
    os.environ[CA_FILE] = str(settings.api_ca_file or "")
    os.environ[REFRESH] = str(settings.refresh)
    identities = Identities(client)
    login = Login(client, identities, secure=settings.secure_cookies, public_url=settings.public_url)
    app: ASGIApp = st.App(
        _SCRIPT, routes=[*login.routes(), *shell_routes()], middleware=[Middleware(Gate, identities=identities)]
    )
    return app


def run(settings: DashboardSettings) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    try:
        listening = _listen(settings.host, settings.port)
    except OSError as error:
        sys.stderr.write(
            f"iothub: the dashboard cannot listen on {settings.host} port {settings.port}: {error.strerror}. Choose "
            "another with dashboard.port in iothub.toml or IOTHUB_DASHBOARD__PORT (0 = any free one).\n"
        )
        return 1
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    with listening, Client(settings.api_url, settings.api_ca_file, settings.proxy_token_file) as client:
        config = uvicorn.Config(
            application(settings, client),
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_STOP_LIMIT_S,
            proxy_headers=False,
        )
        threading.Thread(target=_prepare, name="imports", daemon=True).start()
        server = _Server(config, f"http://{shown}:{port}")
        # uvicorn raises what stopped it once more when it has ended, for handlers that stood there before.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, server.handle_exit)
        server.run(sockets=[listening])
    return 0


def _prepare() -> None:
    """Import what all pages need, so that the first viewer does not wait for it; the login is served meanwhile.

    What is there then stays: Streamlit collects garbage after each drawing of each part, and to look through all
    modules each time took four times as long as the drawing itself.
    """
    importlib.import_module("dashboard.main")
    gc.collect()
    gc.freeze()


class _Server(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            sys.stdout.write(f"{READY}{self._url}\n")
            sys.stdout.flush()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)
