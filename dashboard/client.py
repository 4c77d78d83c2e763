"""HTTP client of the hub's API: the only way from the dashboard to any data.

One client serves all viewers (one pool of connections); the token of the viewer goes with each call.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

from dashboard.errors import ApiAway, Refused, SignedOut

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

PREFIX: Final = "/api/v1"
#: Answers of the API: JSON documents.
Document = dict[str, Any]
Params = dict[str, str | int | float | bool | None]

_TIMEOUT: Final = httpx.Timeout(20.0, connect=3.0, read=60.0)
#: The login page waits no longer to learn what it may offer; the form for passwords is on it anyway.
_LOGIN_PAGE_S: Final = 12.0
_log: Final = logging.getLogger("dashboard")
#: Most that the API puts on one page.
_PAGE: Final = 1000


class Client:
    """Calls are synchronous and safe from several threads; each may raise the errors of :mod:`dashboard.errors`."""

    def __init__(self, url: str, ca_file: Path | None = None, proxy_token_file: Path | None = None) -> None:
        self.url = url
        self._proxy_token_file = proxy_token_file
        verify: Any = str(ca_file) if ca_file is not None else True
        self._http = httpx.Client(base_url=url, timeout=_TIMEOUT, trust_env=False, verify=verify)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, token: str, params: Params | None = None) -> Document:
        """One document below ``/api/v1``."""
        answer: Document = self.send("GET", path, token, params=_given(params)).json()
        return answer

    def items(self, path: str, token: str, params: Params | None = None, *, most: int = 10_000) -> Iterator[Document]:
        """Items of a list, page by page, at most ``most``."""
        wanted = {"limit": min(_PAGE, most), **_given(params)}
        left = most
        while left > 0:
            page: Document = self.send("GET", path, token, params=wanted).json()
            yield from page["items"][:left]
            left -= len(page["items"])
            if page.get("next") is None:
                return
            wanted["page"] = page["next"]

    def bytes_of(self, path: str, token: str, params: Params | None, accept: str) -> bytes:
        """An answer in another form than JSON, e.g. an Arrow stream."""
        return self.send("GET", path, token, params=_given(params), headers={"Accept": accept}).content

    def post(self, path: str, token: str, body: Mapping[str, Any] | None = None) -> Document:
        """Create or do something; an empty document where the API answers nothing."""
        return _document(self.send("POST", path, token, json=body))

    def put(self, path: str, token: str, body: Mapping[str, Any]) -> Document:
        """Replace something."""
        return _document(self.send("PUT", path, token, json=body))

    def delete(self, path: str, token: str, params: Params | None = None) -> None:
        """Remove something."""
        self.send("DELETE", path, token, params=_given(params))

    def health(self, token: str) -> Document:
        """The chain of ``GET /health``, also when it is broken (then it answers 503)."""
        headers = {"Authorization": f"Bearer {token}"}
        answer: Document = self._request("GET", "/health", headers=headers).json()
        return answer

    def metrics(self, token: str) -> str:
        """The hub's own figures, as Prometheus reads them."""
        response = self._request("GET", "/metrics", headers={"Authorization": f"Bearer {token}"})
        if response.is_error:
            raise _refusal(response)
        return response.text

    def log_in(self, user: str, password: str, address: str = "") -> Document:
        """A token: ``{"token", "expires", "user", "role", "scope"}``; ``Refused`` says why not.

        ``address``: where the user comes from, for the hub's limit of failed logins and its record of them.
        """
        body = {"user": user, "password": password, "scope": "full"}
        response = self._request("POST", PREFIX + "/token", json=body, headers=self._came_from(address))
        if response.is_error:
            raise _refusal(response)
        return _document(response)

    def oidc(self) -> Document | None:
        """Where people log in who have no password at the hub; None: nowhere."""
        response = self._request("GET", PREFIX + "/token/oidc", timeout=_LOGIN_PAGE_S)
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        if response.is_error:
            raise _refusal(response)
        return _document(response)

    def log_in_oidc(self, body: Mapping[str, str], address: str = "") -> Document:
        """As :meth:`log_in`, with what the browser brought back from there."""
        response = self._request("POST", PREFIX + "/token/oidc", json=body, headers=self._came_from(address))
        if response.is_error:
            raise _refusal(response)
        return _document(response)

    def send(self, method: str, path: str, token: str, **arguments: Any) -> httpx.Response:
        """Any request with the viewer's token; raises unless the API agreed."""
        headers = {**arguments.pop("headers", {}), "Authorization": f"Bearer {token}"}
        response = self._request(method, PREFIX + path, headers=headers, **arguments)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise SignedOut("You are signed out: the session has ended or was revoked.")
        if response.is_error:
            raise _refusal(response)
        return response

    def _came_from(self, address: str) -> dict[str, str]:
        """What the hub believes for the secret; read anew each time: the hub makes it when it starts."""
        if self._proxy_token_file is None:
            return {}
        try:
            secret = self._proxy_token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            _log.warning("dashboard.proxy_token_file cannot be read, the hub sees one address for all: %s", error)
            return {}
        return {"X-Iothub-Client": address, "X-Iothub-Proxy": secret}

    def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **arguments)
        except httpx.TimeoutException as error:
            raise ApiAway(f"The hub at {self.url} gave no answer in time.") from error
        except httpx.TransportError as error:
            raise ApiAway(f"Nothing answers at {self.url}; is the hub running? ({error})") from error


def _given(params: Params | None) -> dict[str, str | int | float | bool]:
    return {name: value for name, value in (params or {}).items() if value is not None}


def _document(response: httpx.Response) -> Document:
    answer: Document = response.json() if response.content else {}
    return answer


def _refusal(response: httpx.Response) -> Refused:
    """What a problem document (RFC 9457) says."""
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        return Refused(f"The hub answered {response.status_code} {response.reason_phrase}.", response.status_code)
    text = str(problem.get("detail") or problem.get("title") or response.reason_phrase)
    # The detail names the first fault already.
    further = [f"{one['where']}: {one['message']}" for one in (problem.get("errors") or [])[1:]]
    return Refused("; ".join([text, *further]), response.status_code, str(problem.get("type", "")).rpartition(":")[2])
