"""A server that answers what a test wants, for clients of the API: documents, problem documents, silence."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from types import TracebackType


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    params: dict[str, str]
    #: Names in lower case.
    headers: dict[str, str]
    body: Any


class Answering:
    """``answers`` by path: status, and a document, bytes or a list of documents given one after the other."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {}
        self.requests: list[Asked] = []
        #: While it is not set, requests wait.
        self.may_answer = threading.Event()
        self.may_answer.set()
        #: Set when a request has come.
        self.was_asked = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._stopped = False
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """From now on nothing answers."""
        if self._stopped:
            return
        self._stopped = True
        self.may_answer.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        whole = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                asked = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                whole.requests.append(
                    Asked(
                        self.command,
                        asked.path,
                        dict(parse_qsl(asked.query)),
                        headers,
                        json.loads(body) if body else None,
                    )
                )
                whole.was_asked.set()
                whole.may_answer.wait(60)
                status, answer = whole.answers.get(asked.path, (404, problem("no-path", "There is no such path.")))
                if isinstance(answer, list):
                    answer = answer.pop(0)
                given = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(given)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(given)

            do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815  the library's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
                """Say nothing."""

        return Handler


def problem(kind: str, detail: str, **more: Any) -> dict[str, Any]:
    """A problem document of the API."""
    return {"type": f"urn:iothub:problem:{kind}", "title": "No", "detail": detail} | more
