"""What compose.yaml runs of ours, without Docker: the same commands and variables, folders in place of volumes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import yaml

from hub.broker import locate
from tests.support.compose import environment, services
from tests.support.influx import Influxd
from tests.support.mosquitto import Process, accepts, free_port
from tests.support.sources import ROOT
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.compose import Json

NODE = "docker-host"
DATABASE = "iot"


class Stack:
    """The services on one machine; ``folder`` holds their volumes and secrets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mqtt_port, self.api_port = free_port(), free_port()
        subprocess.run([ROOT / "scripts" / "secrets", folder / "secrets"], check=True, capture_output=True)
        self.influxd = Influxd(folder / "influxd", http="auth-enabled = true")
        self.influxd._is_set_up = True  # by nobody: that is left to the service
        self.services = services({"COMPOSE_PROFILES": f"influx{self.influxd.generation}"})
        self.log = folder / "services.log"

    def secret(self, name: str) -> str:
        return (self.folder / "secrets" / name).read_text(encoding="utf-8").strip()

    @property
    def init(self) -> str:
        """The service that sets the database up."""
        return f"influx{self.influxd.generation}-init"

    def ask(self, query: str, user: tuple[str, str] | None) -> Json:
        """One InfluxQL statement, as this user; the result."""
        parameters = {"db": DATABASE, "q": query}
        answer = httpx.post(f"{self.influxd.url}/query", data=parameters, auth=user, timeout=30)
        (result,) = answer.json().get("results", [{"error": answer.text}])
        return dict(result)

    def argv(self, name: str) -> list[str]:
        program = "agent" if name == "agent" else "hub.cli"
        words = [self.here(str(word), name) for word in self.services[name].get("command", [])]
        return [sys.executable, "-m", program, *words]

    def environment(self, name: str) -> dict[str, str]:
        """Variables of the image and of the service."""
        state = "IOTHUB_AGENT__STATE" if name == "agent" else "IOTHUB_STATE"
        found = {state: "/var/lib/iothub"} | environment(self.services[name])
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("IOTHUB_")},
            **{key: self.here(value, name) for key, value in found.items()},
            "IOTHUB_MQTT__PORT": str(self.mqtt_port),
            "IOTHUB_API__PORT": str(self.api_port),
            "IOTHUB_AGENT__COLLECTORS__CPU__INTERVAL": "1s",
        }

    def here(self, text: str, name: str) -> str:
        """Paths and addresses of containers as those of this machine."""
        own = {
            "/var/lib/iothub": "agent" if name == "agent" else "hub",
            "/broker": "broker",
            "/credentials": "credentials",
        }
        for path, folder in own.items():
            text = text.replace(path, str(self.folder / folder))
        text = text.replace("/usr/lib/mosquitto_dynamic_security.so", plugin())
        text = text.replace("/run/secrets/", f"{self.folder}/secrets/")
        names = {"mosquitto": "127.0.0.1", "0.0.0.0": "127.0.0.1", "http://database:8086": self.influxd.url}  # noqa: S104
        return names.get(text, text)

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        """A service that ends by itself."""
        return subprocess.run(
            self.argv(name), env=self.environment(name), capture_output=True, text=True, timeout=60, check=False
        )

    @contextlib.contextmanager
    def running(self, name: str) -> Iterator[None]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(self.argv(name), env=self.environment(name), stdout=log, stderr=log)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, self.log.read_text(errors="replace")[-2000:]

    def broker(self) -> Process:
        service = self.services["mosquitto"]
        program, *words = (self.here(word, "mosquitto") for word in service["command"])
        argv = [str(locate.find_program(Path(program).name)), *words]
        where = Path(self.here(service["working_dir"], "mosquitto"))
        return Process(argv, port=self.mqtt_port, log=self.folder / "mosquitto.log", cwd=where)


def plugin() -> str:
    """As this machine has it."""
    return str(locate.find_plugin(locate.find_program("mosquitto")))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(tmp_path_factory.mktemp("compose"))
    for volume in ("hub", "agent", "broker", "credentials"):
        (made.folder / volume).mkdir(mode=0o700)
    with made.influxd:
        for name in ("broker-init", made.init):
            done = made.run(name)
            assert done.returncode == 0, done.stdout + done.stderr
        with made.broker(), made.running("hub"):
            wait_until(lambda: accepts(made.api_port), 60, f"the hub answers; see {made.log}")
            with made.running("agent"):
                yield made


def api(stack: Stack, path: str, **headers: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{stack.api_port}{path}", headers=headers, timeout=60)


def test_the_agent_of_the_stack_is_online_and_its_data_is_in_the_database(stack: Stack) -> None:
    token = (stack.folder / "hub" / "secrets" / "cli-token").read_text().strip()

    def contact() -> str:
        found = api(stack, f"/api/v1/nodes/{NODE}", Authorization=f"Bearer {token}")
        return str(found.json().get("contact"))

    wait_until(lambda: contact() == "online", 60, f"the agent is online; see {stack.log}")
    reader = ("grafana", stack.secret("influx-grafana-password"))
    wait_until(lambda: "series" in stack.ask('SELECT "usage" FROM "cpu" LIMIT 1', reader), 60, "rows for Grafana")


def test_the_health_check_passes(stack: Stack) -> None:
    wait_until(lambda: api(stack, "/health").status_code == 200, 60, "the hub is well")


def test_prometheus_may_read_the_metrics_by_the_name_of_the_container(stack: Stack) -> None:
    name = {"Host": "hub:8080"}
    assert api(stack, "/metrics", **name).status_code == 401
    answer = api(stack, "/metrics", **name, Authorization=f"Bearer {stack.secret('metrics-token')}")
    assert answer.status_code == 200
    assert "iothub_link_up 1.0" in answer.text


def test_the_account_of_grafana_can_read_and_nothing_else(stack: Stack) -> None:
    reader = ("grafana", stack.secret("influx-grafana-password"))
    assert "error" not in stack.ask("SHOW MEASUREMENTS", reader)
    assert "error" in stack.ask('DROP MEASUREMENT "cpu"', reader)


def test_the_account_of_the_hub_may_use_its_database_and_nothing_else(stack: Stack) -> None:
    folder = stack.folder / "hub" / "secrets"
    if stack.influxd.generation == 1:
        hub = ("hub", (folder / "influx-hub-password").read_text().strip())
        assert "error" not in stack.ask("SHOW MEASUREMENTS", hub)
        assert "error" in stack.ask("SHOW USERS", hub)
        assert "error" in stack.ask("CREATE DATABASE other", hub)
        return
    hub_token = {"Authorization": f"Token {(folder / 'influx-hub-token').read_text().strip()}"}
    url = f"{stack.influxd.url}/api/v2"
    (bucket,) = httpx.get(f"{url}/buckets", params={"name": DATABASE}, headers=hub_token, timeout=60).json()["buckets"]
    body = {"name": "other", "orgID": bucket["orgID"], "retentionRules": []}
    assert httpx.post(f"{url}/buckets", json=body, headers=hub_token, timeout=60).status_code in (401, 403)


def test_the_data_source_of_grafana_reads_with_the_secret_that_it_names(stack: Stack) -> None:
    file = ROOT / "grafana" / "datasources" / f"influx{stack.influxd.generation}.yaml"
    (source,) = yaml.safe_load(file.read_text(encoding="utf-8"))["datasources"]
    path = str(source["secureJsonData"]["password"]).removeprefix("$__file{/run/secrets/").removesuffix("}")
    who = {"u": source["user"], "p": stack.secret(path)}
    query = {"db": DATABASE, "q": "SHOW MEASUREMENTS"}
    for credentials in ({"params": {**query, **who}}, {"params": query, "auth": (who["u"], who["p"])}):
        assert httpx.get(f"{stack.influxd.url}/query", **credentials, timeout=60).status_code == 200
    line = httpx.post(f"{stack.influxd.url}/write", params={"db": DATABASE, **who}, content="x a=1", timeout=60)
    assert line.status_code in (401, 403)


def test_roll_ups_are_set_up_and_setting_up_again_changes_nothing(stack: Stack) -> None:
    done = stack.run(stack.init)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert any("rollup_1h" in line for line in lines)
    assert {line.split()[0] for line in lines[: lines.index("")]} == {"there"}


def test_commands_in_the_container_of_the_hub_work(stack: Stack) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hub.cli", "pub", NODE, "room", "temperature=21.5"],
        env=stack.environment("hub"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_starting_it_again_keeps_every_account(stack: Stack) -> None:
    accounts = stack.folder / "broker" / "data" / "dynamic-security.json"
    before = accounts.read_bytes()
    assert stack.run("broker-init").returncode == 0
    assert accounts.read_bytes() == before
