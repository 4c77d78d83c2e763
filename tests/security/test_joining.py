"""Joining over the network: only with a good token, only to the right hub, and nothing that is another's."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import ssl
import stat
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from agent import joining
from hub.api.joining import create_join_app
from hub.api.server import serve
from hub.broker.lan import certificates_of
from hub.config import Settings
from hub.lan import Lan
from hub.metrics import Metrics
from hub.paths import StatePaths
from hub.tls.certificates import Certificates
from tests.support.api import Api, running_api
from tests.support.mosquitto import free_port
from tests.support.opened import lan_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

HOUR_NS = 3600 * 10**9


class World:
    """A hub that lets machines join: its API, and its endpoint on the network."""

    def __init__(self, api: Api, certificates: Certificates, port: int) -> None:
        self.api = api
        self.certificates = certificates
        self.port = port

    async def token(self, **wanted: Any) -> str:
        """Secret and fingerprint."""
        answer = await self.api.http.post("/api/v1/join-tokens", json=wanted)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    async def ask(self, path: str, body: dict[str, Any]) -> httpx.Response:
        async with self.machine() as machine:
            return await machine.post(path, json=body)

    def machine(self) -> httpx.AsyncClient:
        context = ssl.create_default_context(cafile=self.certificates.authority_file)
        return httpx.AsyncClient(base_url=f"https://localhost:{self.port}", verify=context)

    async def join(self, token: str, node: str) -> httpx.Response:
        return await self.ask("/join", {"token": token.partition("#")[0], "node": node})


@contextlib.asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    lan = lan_settings()
    settings = Settings.model_validate({"broker": {"lan": lan}})
    paths = StatePaths(folder / "var")
    paths.make()
    certificates_of(settings, paths).make("test-hub", ["localhost"])
    opened = Lan(settings, paths, Metrics())
    assert opened.certificates is not None
    async with (
        running_api(folder, settings=settings, certificates=opened.certificates) as api,
        opened.serving(api.parts),
    ):
        yield World(api, opened.certificates, settings.broker.lan.join_port)


def in_world(folder: Path, test: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        async with world(folder) as made:
            await test(made)

    asyncio.run(run())


def test_a_machine_with_a_token_becomes_a_node_at_once(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        answer = await w.join(await w.token(groups=["lab"]), "new1")
        assert answer.status_code == 201
        said = answer.json()
        assert (said["credentials"]["username"], said["mqtt"]["tls"]) == ("new1", True)
        (node,) = (await w.api.http.get("/api/v1/nodes")).json()["items"]
        assert (node["node"], node["standing"], node["groups"]) == ("new1", "declared", ["lab"])

    in_world(tmp_path, test)


def test_a_token_is_good_as_often_as_it_says(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        token = await w.token(uses=2)
        codes = [(await w.join(token, f"n{i}")).status_code for i in range(4)]
        assert codes == [201, 201, 403, 403]

    in_world(tmp_path, test)


def test_the_last_use_is_given_to_one_of_those_who_come_together(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        token = await w.token()
        answers = await asyncio.gather(*(w.join(token, f"n{i}") for i in range(8)))
        assert sorted(answer.status_code for answer in answers) == [201] + [403] * 7

    in_world(tmp_path, test)


def test_a_token_ends(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        token = await w.token(lifetime_s=60)
        w.api.clock.ahead_ns = HOUR_NS
        assert (await w.join(token, "late")).status_code == 403

    in_world(tmp_path, test)


def test_a_token_that_was_taken_back_is_worth_nothing(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        token = await w.token()
        (listed,) = (await w.api.http.get("/api/v1/join-tokens")).json()["items"]
        assert "token" not in listed
        assert (await w.api.http.delete(f"/api/v1/join-tokens/{listed['id']}")).status_code == 204
        assert (await w.join(token, "n1")).status_code == 403

    in_world(tmp_path, test)


def test_a_token_of_one_node_is_no_other_nodes(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        token = await w.token(node="mine")
        assert (await w.join(token, "other")).status_code == 403
        assert (await w.join(token, "mine")).status_code == 201

    in_world(tmp_path, test)


def test_a_token_for_anybody_gives_away_no_account_that_there_is(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        await w.api.http.post("/api/v1/nodes", json={"node": "old"})
        token = await w.token()
        assert (await w.join(token, "old")).status_code == 409
        assert w.api.accounts.passwords["old"] == "first"
        assert (await w.join(token, "new")).status_code == 201, "what failed used nothing up"

    in_world(tmp_path, test)


def test_a_token_made_for_a_node_renews_its_account(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        await w.api.http.post("/api/v1/nodes", json={"node": "old"})
        assert (await w.join(await w.token(node="old"), "old")).status_code == 201
        assert w.api.accounts.passwords["old"] == "first+"

    in_world(tmp_path, test)


def test_guessing_tokens_is_stopped(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        codes = [(await w.join(f"ihj_{i:032d}", "x")).status_code for i in range(14)]
        assert codes[:10] == [403] * 10
        assert set(codes[10:]) == {429}

    in_world(tmp_path, test)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/v1/nodes"), ("POST", "/api/v1/token"), ("GET", "/metrics"), ("GET", "/health"), ("GET", "/docs")],
)
def test_the_network_reaches_no_other_route(tmp_path: Path, method: str, path: str) -> None:
    async def test(w: World) -> None:
        async with w.machine() as machine:
            assert (await machine.request(method, path)).status_code == 404

    in_world(tmp_path, test)


def test_only_an_administrator_makes_tokens(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        assert (await w.api.anyone.post("/api/v1/join-tokens", json={})).status_code == 401
        assert (await w.api.anyone.get("/api/v1/join-tokens")).status_code == 401

    in_world(tmp_path, test)


def test_no_token_is_made_where_the_network_is_closed(tmp_path: Path) -> None:
    async def run() -> None:
        async with running_api(tmp_path) as api:
            answer = await api.http.post("/api/v1/join-tokens", json={})
            assert (answer.status_code, answer.json()["type"]) == (409, "urn:iothub:problem:no-lan")

    asyncio.run(run())


def test_nothing_that_is_kept_says_the_token(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        token = (await w.token()).partition("#")[0]
        leave = (await w.join(token, "n1")).json()["leave_token"]
        kept = b"".join(path.read_bytes() for path in sorted(tmp_path.glob("hub.db*")))  # noqa: ASYNC240  small files
        assert token.encode() not in kept
        assert leave.encode() not in kept

    in_world(tmp_path, test)


def test_a_node_leaves_with_what_it_was_given_and_nobody_else_does(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        leave_token = (await w.join(await w.token(), "n1")).json()["leave_token"]
        assert (await w.ask("/leave", {"node": "n1", "leave_token": "x" * 32})).status_code == 403
        assert (await w.ask("/leave", {"node": "n2", "leave_token": leave_token})).status_code == 403
        assert (await w.ask("/leave", {"node": "n1", "leave_token": leave_token})).status_code == 204
        assert w.api.accounts.passwords == {}
        assert (await w.api.http.get("/api/v1/nodes/n1")).status_code == 404
        # A later node of that name is not removed with the old token.
        await w.api.http.post("/api/v1/nodes", json={"node": "n1"})
        assert (await w.ask("/leave", {"node": "n1", "leave_token": leave_token})).status_code == 403

    in_world(tmp_path, test)


# -- the machine's side ------------------------------------------------------------------------------------------------


def on_machine(monkeypatch: pytest.MonkeyPatch, token: str, *argv: str) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(token + "\n"))
    return joining.main(argv)


def test_the_agent_joins_keeps_its_files_private_and_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "machine"
    where = ("--config", str(home / "iothub.toml"), "--state", str(home / "state"))

    async def test(w: World) -> None:
        token = await w.token()
        argv = ("join", f"localhost:{w.port}", "--node", "new1", *where)
        assert await asyncio.to_thread(on_machine, monkeypatch, token, *argv) == 0
        files = [home / "iothub.toml", *(home / "state").iterdir()]
        assert {path.name for path in files} == {"iothub.toml", "ca.crt", "mqtt-password", "joined.json"}
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
        assert stat.S_IMODE((home / "state").stat().st_mode) == 0o700
        text = (home / "iothub.toml").read_text()
        assert "tls = true" in text
        assert w.api.accounts.passwords["new1"] not in text
        assert await asyncio.to_thread(on_machine, monkeypatch, "", "leave", *where) == 0
        assert w.api.accounts.passwords == {}
        assert [path.name for path in (home / "state").iterdir()] == []

    in_world(tmp_path, test)
    said = capsys.readouterr()
    assert "new1 has joined localhost" in said.out
    assert "new1 has left localhost" in said.out


def test_an_impostor_in_between_gets_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It answers in place of the hub, with an authority and a certificate of its own for the same name."""
    got: list[str] = []

    async def test(w: World) -> None:
        token, port = await w.token(), free_port()
        other = tmp_path / "impostor"
        paths = StatePaths(other)
        paths.make()
        certificates = Certificates(paths.tls)
        certificates.make("test-hub", ["localhost"])
        app = create_join_app(w.api.parts)

        async def listening(scope: Any, receive: Any, send: Any) -> None:
            got.append(f"{scope['method']} {scope['path']}")
            if scope["path"] == "/ca.crt":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": certificates.authority_file.read_bytes()})
            else:
                await app(scope, receive, send)

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificates.server_files)
        async with serve(listening, "127.0.0.1", port, tls=context):
            argv = ("join", f"localhost:{port}", "--config", str(tmp_path / "c.toml"), "--state", str(tmp_path / "s"))
            assert await asyncio.to_thread(on_machine, monkeypatch, token, *argv) == 1
        assert (await w.join(token, "later")).status_code == 201, "the token was not used"

    in_world(tmp_path, test)
    assert got == ["GET /ca.crt"]
    assert "Somebody may be in between" in capsys.readouterr().err
    assert not (tmp_path / "c.toml").exists()


def test_the_right_authority_under_another_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def test(w: World) -> None:
        w.certificates.renew_server(["elsewhere.example"])
        token = await w.token()
        async with Lan(w.api.parts.settings, StatePaths(tmp_path / "var"), Metrics()).serving(w.api.parts):
            argv = ("join", f"localhost:{w.port}", "--config", str(tmp_path / "c.toml"), "--state", str(tmp_path / "s"))
            assert await asyncio.to_thread(on_machine, monkeypatch, token, *argv) == 1

    async def run() -> None:
        async with world(tmp_path) as made:
            settings = made.api.parts.settings
            lan = settings.broker.lan.model_copy(update={"join_port": free_port()})
            changed = settings.model_copy(update={"broker": settings.broker.model_copy(update={"lan": lan})})
            object.__setattr__(made.api.parts, "settings", changed)
            await test(World(made.api, made.certificates, lan.join_port))

    asyncio.run(run())
    assert "iothub tls renew --name localhost" in capsys.readouterr().err


@pytest.mark.parametrize("given", ["", "secret", "a" * 32, "a" * 32 + "#zz", json.dumps({})])
def test_what_is_no_token_is_sent_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: str
) -> None:
    assert on_machine(monkeypatch, given, "join", "localhost:1", "--config", str(tmp_path / "c.toml")) == 1
    said = capsys.readouterr().err
    assert "no join token" in said
    assert not given or given not in said


def test_a_token_among_the_arguments_is_not_taken_and_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        joining.main(["join", "localhost:1", "ihj_planted-secret#00"])
    assert "planted" not in capsys.readouterr().err
