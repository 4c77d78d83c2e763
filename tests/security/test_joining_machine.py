"""Joining over the network, the machine's side: only to the right hub, and what it keeps is private."""

from __future__ import annotations

import asyncio
import io
import json
import ssl
import stat
from typing import TYPE_CHECKING, Any

import pytest

from agent import joining
from hub.api.joining import create_join_app
from hub.api.server import serve
from hub.lan import Lan
from hub.metrics import Metrics
from hub.paths import StatePaths
from hub.tls.certificates import Certificates
from tests.support.joining import World, in_world, world
from tests.support.mosquitto import free_port

if TYPE_CHECKING:
    from pathlib import Path


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
