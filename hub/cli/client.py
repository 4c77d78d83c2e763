"""HTTP client of the hub's API for the commands: finds it, authenticates, turns refusals into lines for people."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from hub.api.schemas import Page, Problem
from hub.cli.base import CliError, Options, open_state, state_paths
from hub.paths import read_secret
from hub.runfile import read_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hub.config import Settings

PREFIX: Final = "/api/v1"
_TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0, read=120.0)
_M = TypeVar("_M", bound=BaseModel)
#: Most that the API puts on one page.
_PAGE: Final = 1000
#: What the API says to programmers, for people.
_IN_OUR_WORDS: Final = {
    "no-node": "there is no such node; `iothub nodes` lists those that there are",
    "no-alert": "there is no such alert; `iothub alerts` lists those that are open",
    "alert-over": "that alert is over; only remarks can be added to it: iothub alerts comment ID TEXT",
    "no-rule": "there is no such rule; `iothub rules` lists those that there are",
    "no-silence": "there is no such silence that still holds; `iothub alerts silences` lists them",
}
Params = dict[str, str | int | float]


class Refused(CliError):  # noqa: N818  the name says what happened
    """The hub answered with a problem document."""

    def __init__(self, message: str, status: int, kind: str) -> None:
        super().__init__(message)
        self.status = status
        #: E.g. ``node-exists``; empty where the API names none.
        self.kind = kind


class Api:
    """The API of the hub that runs in one state directory."""

    def __init__(self, url: str, token: str, settings: Settings) -> None:
        self.url = url
        self.token = token
        self.settings = settings
        self._http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=_TIMEOUT, trust_env=False
        )

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, kind: type[_M], params: Params | None = None) -> _M:
        """One document."""
        return self._parse(self._send("GET", path, params=params), TypeAdapter(kind))

    def items(self, path: str, kind: type[_M], params: Params | None = None) -> Iterator[_M]:
        """All items of a list, page by page."""
        page_of: TypeAdapter[Page[_M]] = TypeAdapter(Page[kind])  # type: ignore[valid-type]  # built at run time
        wanted: Params = {"limit": _PAGE, **(params or {})}
        while True:
            page = self._parse(self._send("GET", path, params=wanted), page_of)
            yield from page.items
            if page.next is None:
                return
            wanted["page"] = page.next

    def post(self, path: str, body: BaseModel | Mapping[str, Any] | None, kind: type[_M]) -> _M:
        content = body.model_dump(mode="json") if isinstance(body, BaseModel) else body
        return self._parse(self._send("POST", path, json=content), TypeAdapter(kind))

    def put(self, path: str, body: BaseModel | Mapping[str, Any], kind: type[_M]) -> _M:
        content = body.model_dump(mode="json") if isinstance(body, BaseModel) else body
        return self._parse(self._send("PUT", path, json=content), TypeAdapter(kind))

    def patch(self, path: str, body: Mapping[str, Any], kind: type[_M]) -> _M:
        return self._parse(self._send("PATCH", path, json=body), TypeAdapter(kind))

    def delete(self, path: str, params: Params | None = None) -> None:
        self._send("DELETE", path, params=params)

    def raw(self, path: str, *, prefix: str = PREFIX) -> httpx.Response:
        """An answer of any status; for health checks."""
        with self._reaching():
            return self._http.get(prefix + path)

    @contextmanager
    def stream(self, path: str, params: Params, accept: str) -> Iterator[httpx.Response]:
        """An answer that may be large."""
        with (
            self._reaching(),
            self._http.stream("GET", PREFIX + path, params=params, headers={"Accept": accept}) as response,
        ):
            if response.is_error:
                response.read()
                raise refusal(response)
            yield response

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        with self._reaching():
            response = self._http.request(method, PREFIX + path, **arguments)
        if response.is_error:
            raise refusal(response)
        return response

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as error:
            raise not_running(self.settings, f"nothing answers at {self.url}") from error
        except httpx.TimeoutException as error:
            raise CliError(
                f"the hub at {self.url} gave no answer in time; `iothub doctor` says what is stuck"
            ) from error
        except httpx.TransportError as error:
            raise CliError(f"the connection to the hub at {self.url} broke: {error}") from error

    def _parse(self, response: httpx.Response, adapter: TypeAdapter[_M]) -> _M:
        try:
            return adapter.validate_json(response.content)
        except ValidationError as error:
            raise CliError(
                f"{response.request.url} answered with something else than this version of iothub expects: "
                f"{error.errors()[0]['msg']}. Is another program listening there, or a hub of another version?"
            ) from error


@contextmanager
def connected(options: Options) -> Iterator[Api]:
    """The API of the hub of this state directory.

    Raises:
        CliError: no hub runs there, or its token file cannot be read; the message says what to do.
        SettingsError: the settings are wrong.
    """
    settings = options.settings()
    running = read_run(open_state(settings).run)
    if running is None:
        raise not_running(settings, "no hub runs here")
    api = Api(running.api_url, _token(settings), settings)
    try:
        yield api
    finally:
        api.close()


def not_running(settings: Settings, seen: str) -> CliError:
    """What to tell people when there is no hub."""
    return CliError(
        f"{seen} (state directory {settings.state}). Start it with `iothub up`; "
        "if it uses another state directory, name it: --state DIR or IOTHUB_STATE."
    )


def refusal(response: httpx.Response) -> CliError:
    """A refused request in words."""
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        return CliError(f"{response.request.url} answered {response.status_code} {response.reason_phrase}")
    if response.status_code == httpx.codes.UNAUTHORIZED:
        return CliError(
            f"the hub refused the token of this state directory: {problem.detail} "
            "Stop the hub and start it again: it writes a new one when the old is not valid."
        )
    more = [f"\n  {item.where}: {item.message}" for item in (problem.errors or ())[1:]]
    kind = problem.type.rpartition(":")[2] if problem.type != "about:blank" else ""
    detail = _IN_OUR_WORDS.get(kind, problem.detail)
    return Refused(detail + "".join(more), response.status_code, kind)


def _token(settings: Settings) -> str:
    path = state_paths(settings).cli_token
    try:
        return read_secret(path)
    except PermissionError as error:
        raise CliError(
            f"{path} belongs to another user: run this as the user that runs the hub (or with sudo)"
        ) from error
    except OSError as error:
        raise CliError(f"cannot read the token {path}: {error.strerror}; the hub writes it when it starts") from error
