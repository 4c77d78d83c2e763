"""No secret in logs, processes, error texts and exports of a real ``iothub up``; modes of its files."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from tests.support.api import bearer
from tests.support.iothub import IotHub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INFLUX_TOKEN = "planted-influx-token-7Qx"
NOTIFY = "planted-notify-secret-8Zk"
PASSWORD = "planted-password-5Wd"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IotHub]:
    folder = tmp_path_factory.mktemp("secrets")
    settings = folder / "iothub.toml"
    settings.write_text(
        f"""
[store]
also = ["influx"]
[store.influx]
url = "http://127.0.0.1:9"
token = "{INFLUX_TOKEN}"
[[notify.channels]]
name = "hook"
url = "json://user:{NOTIFY}@127.0.0.1:9/{NOTIFY}"
"""
    )
    settings.chmod(0o600)
    hub = IotHub(folder, {"IOTHUB_CONFIG": str(settings), "IOTHUB_LOG__LEVEL": "debug"})
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()
        hub.cleanup()


@pytest.fixture(scope="module")
def secrets(hub: IotHub) -> dict[str, str]:
    """What must appear nowhere, by what it is; errors with each of them have happened."""
    found = {"influx token": INFLUX_TOKEN, "notification URL": NOTIFY, "password": PASSWORD}
    token = (hub.state / "secrets" / "cli-token").read_text().strip()
    for path in (hub.state / "secrets").iterdir():
        found[path.name] = path.read_text().strip()
    with httpx.Client(base_url=_url(hub), headers=bearer(token), timeout=60) as api:
        user = {"name": "ann", "role": "viewer", "password": PASSWORD}
        said = [api.post("/api/v1/users", json=user), api.post("/api/v1/users", json=user)]
        login = {"user": "ann", "password": PASSWORD}
        session = api.post("/api/v1/token", json=login).json()["token"]
        found["session"] = session
        said += [
            api.post("/api/v1/token", json=login | {"user": "nobody"}),
            api.post("/api/v1/token", json=login | {"scope": PASSWORD[:3]}),
            api.post("/api/v1/users", headers=bearer(session), json=user),
            api.get("/api/v1/nodes", headers=bearer(session + "x")),
            api.post("/api/v1/notify/channels/hook/test"),
            api.get("/api/v1/notify/channels"),
            api.get("/api/v1/audit"),
            api.get("/api/v1/tokens"),
            api.get("/api/v1/users"),
            api.get("/health"),
            api.get("/metrics"),
            api.get("/api/v1/query", params={"format": "csv"}),
        ]
        node = api.post("/api/v1/nodes", json={"node": "dev"}).json()
        found["password of a node"] = node["credentials"]["password"]
        said.append(api.post("/api/v1/nodes", json={"node": "dev"}))
        texts = "\n".join(f"{answer.request.url} {answer.headers} {answer.text}" for answer in said)
    commands = (("doctor",), ("check",), ("users",), ("users", "logins"), ("tokens",), ("audit", "list"), ("notify",))
    for words in commands:
        done = hub.run(*words)
        texts += done.stdout + done.stderr
    (hub.folder / "answers.txt").write_text(texts)
    return found


def _url(hub: IotHub) -> str:
    return str(json.loads((hub.state / "run.json").read_text())["api_url"])


def _named_in(text: str, secrets: dict[str, str]) -> list[str]:
    return [name for name, secret in secrets.items() if secret in text]


def test_answers_exports_and_errors_name_no_secret(hub: IotHub, secrets: dict[str, str]) -> None:
    assert _named_in((hub.folder / "answers.txt").read_text(), secrets) == []


def test_what_is_printed_and_logged_names_no_secret(hub: IotHub, secrets: dict[str, str]) -> None:
    assert _named_in(hub.text, secrets) == []
    logs = [*(hub.state / "log").rglob("*"), *(hub.state / "mosquitto").rglob("*.log")]
    read = {path.name: path.read_text(errors="replace") for path in logs if path.is_file()}
    assert len(read) >= 2, "there are logs"
    assert {name: _named_in(text, secrets) for name, text in read.items() if _named_in(text, secrets)} == {}


def test_arguments_and_environments_of_processes_hold_no_secret(hub: IotHub, secrets: dict[str, str]) -> None:
    processes = [psutil.Process(hub.pid), *psutil.Process(hub.pid).children(recursive=True)]
    assert len(processes) >= 4
    for process in processes:
        shown = [*process.cmdline(), process.name(), *process.environ().values()]
        assert _named_in("\n".join(shown), secrets) == [], process.name()


def test_the_state_directory_is_for_its_owner_alone(hub: IotHub, secrets: dict[str, str]) -> None:
    del secrets
    wide = {str(path): oct(stat.S_IMODE(path.stat().st_mode)) for path in _walk(hub.state) if _is_wide(path)}
    assert wide == {}


def test_only_files_that_are_for_secrets_hold_them(hub: IotHub, secrets: dict[str, str]) -> None:
    for path in _walk(hub.state):
        if path.is_file() and path.parent.name != "secrets":
            kept = _named_in(path.read_bytes().decode("latin-1"), secrets)
            assert kept in ([], ["mqtt-agent"]), f"{path} holds {kept}"


def _walk(folder: Path) -> Iterator[Path]:
    yield folder
    for path in folder.rglob("*"):
        if not path.is_symlink() and path.exists():
            yield path


def _is_wide(path: Path) -> bool:
    # What is inside of a closed directory is closed as well; secrets are looked at wherever they are.
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
