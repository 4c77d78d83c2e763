"""Commands to this host's agent of a real ``iothub up``, by Debian's own clients: an operator without our tools."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from hub.config import default_hub_id
from hub.runfile import read_run
from tests.support.iothub import IotHub
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = default_hub_id()
SETTINGS = """
[broker]
record_denied = true

[agent.commands]
allow = ["ping", "info", "cancel", "logs source=app", "shell name=count"]

[agent.commands.logs]
app = "{log}"

[agent.commands.shell.count]
run = ["seq", "{{to}}"]
args = {{ to = "[0-9]{{1,5}}" }}
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IotHub]:
    folder = tmp_path_factory.mktemp("hub")
    (folder / "app.log").write_text("first\n", encoding="utf-8")
    settings = folder / "iothub.toml"
    settings.write_text(SETTINGS.format(log=folder / "app.log"), encoding="utf-8")
    hub = IotHub(folder)
    try:
        hub.start("--config", str(settings))
        yield hub
    finally:
        if hub.stop() != 0:
            hub.cleanup()


class Operator:
    """``mosquitto_pub`` with the account of operators, and what ``mosquitto_sub`` prints of the replies."""

    def __init__(self, hub: IotHub) -> None:
        running = read_run(hub.state / "run.json")
        assert running is not None
        password = (hub.state / "secrets" / "mqtt-operator").read_text(encoding="utf-8").strip()
        self._login = ["-V", "5", "-p", str(running.broker_port), "-u", "operator", "-P", password]
        self.lines: list[str] = []

    def send(self, command: str, payload: str, *more: str) -> None:
        argv = ["mosquitto_pub", *self._login, "-q", "1", "-t", f"iot/v1/{HOST}/cmd/{command}", "-m", payload, *more]
        subprocess.run(argv, check=True, timeout=60)

    def replies(self, request_id: str) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in list(self.lines)]
        return [reply for reply in found if reply["id"] == request_id]

    def final(self, request_id: str) -> dict[str, Any]:
        wait_until(lambda: [r for r in self.replies(request_id) if r["state"] not in ("accepted", "output")], 60)
        return self.replies(request_id)[-1]

    def output(self, request_id: str) -> str:
        return "".join(reply.get("data", "") for reply in self.replies(request_id))

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        argv = ["stdbuf", "-oL", "mosquitto_sub", *self._login, "-d", "-q", "1", "-t", f"iot/v1/{HOST}/reply/+"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            said: list[str] = []
            reader = threading.Thread(target=self._read, args=(process, said))
            reader.start()
            try:
                wait_until(lambda: [line for line in said if "Subscribed" in line], 60, "mosquitto_sub listens")
                yield
            finally:
                process.terminate()
                process.wait(60)
                reader.join(60)

    def _read(self, process: subprocess.Popen[str], said: list[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            (self.lines if line.startswith("{") else said).append(line)


@pytest.fixture(scope="module")
def operator(hub: IotHub) -> Iterator[Operator]:
    operator = Operator(hub)
    with operator.listening():
        yield operator


def journal(hub: IotHub, request_id: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in hub.run("audit", "list", "--json").stdout.splitlines()]
    return [row for row in rows if row["id"] == request_id]


def test_a_command_of_mosquitto_pub_streams_its_replies_and_stands_in_the_journal(
    hub: IotHub, operator: Operator
) -> None:
    request = '{"id":"s1","args":{"name":"count","to":20000}}'
    operator.send("shell", request, "-D", "publish", "user-property", "user", "ada")
    final = operator.final("s1")
    output = operator.output("s1")
    assert output == "".join(f"{number}\n" for number in range(1, 20_001))
    assert (final["state"], final["code"]) == ("done", 0)
    replies = operator.replies("s1")
    assert [reply["n"] for reply in replies] == list(range(len(replies)))
    assert replies[0]["state"] == "accepted"

    wait_until(lambda: [row["kind"] for row in journal(hub, "s1")] == ["request", "accepted", "outcome"], 60, "rows")
    asked, _, done = journal(hub, "s1")
    assert asked["node"] == done["node"] == HOST
    facts, outcome = json.loads(asked["facts"]), json.loads(done["facts"])
    assert (facts["command"], facts["who"]) == ("shell", {"claimed": "ada"})
    assert facts["sha256"] == hashlib.sha256(request.encode()).hexdigest()
    assert (outcome["state"], outcome["by"], outcome["code"]) == ("done", "node", 0)
    assert outcome["output_bytes"] == len(output)
    verified = hub.run("audit", "verify")
    assert verified.returncode == 0, verified.stderr


def test_a_retained_command_that_comes_again_at_each_reconnect_is_refused_and_recorded(
    hub: IotHub, operator: Operator
) -> None:
    operator.send("ping", '{"id":"again1"}', "-r")
    assert operator.final("again1")["state"] == "refused"
    (agent,) = [child for child in psutil.Process(hub.pid).children() if "agent" in child.cmdline()]
    agent.kill()
    wait_until(lambda: len(operator.replies("again1")) > 1, 60, "refused again")
    operator.send("ping", "", "-r")
    assert {reply["state"] for reply in operator.replies("again1")} == {"refused"}
    assert [row["kind"] for row in journal(hub, "again1")][:2] == ["request", "outcome"]
    facts = json.loads(journal(hub, "again1")[1]["facts"])
    assert facts["state"] == "refused"
    assert "must not be retained" in facts["error"]


def test_what_is_refused_to_an_account_is_told_also_after_a_restart_of_the_hub(hub: IotHub) -> None:
    added = hub.json("nodes", "add", "forger")
    login = ["-V", "5", "-p", str(added["mqtt"]["port"]), "-u", "forger", "-i", "forger"]
    login += ["-P", added["credentials"]["password"], "-q", "1"]
    forged = [*login, "-t", f"iot/v1/{HOST}/telemetry/m", "-m", "1"]
    subprocess.run(["mosquitto_pub", *forged], timeout=60, check=False, capture_output=True)
    subprocess.run(["mosquitto_sub", *login, "-t", "#", "-W", "1"], timeout=60, check=False, capture_output=True)

    def told() -> set[tuple[str, str, str]]:
        found = hub.json("accounts", "denials")
        return {(each["kind"], each["client"], each["topic"]) for each in found}

    wanted = {("publish", "forger", f"iot/v1/{HOST}/telemetry/m"), ("subscribe", "forger", "#")}
    wait_until(lambda: told() >= wanted, 60, "both are told")
    (running,) = [child for child in psutil.Process(hub.pid).children() if "hub" in child.cmdline()]
    running.kill()
    wait_until(lambda: "hub: runs again" in hub.text, 60, "the hub is back")
    assert told() >= wanted


def test_a_log_is_followed_until_it_is_cancelled(hub: IotHub, operator: Operator) -> None:
    operator.send("logs", '{"id":"f1","args":{"source":"app","lines":1,"follow":true}}')
    wait_until(lambda: operator.output("f1") == "first\n", 60)
    with (hub.folder / "app.log").open("a", encoding="utf-8") as log:
        log.write("second\n")
    wait_until(lambda: operator.output("f1") == "first\nsecond\n", 60)
    operator.send("cancel", '{"id":"c1","args":{"id":"f1"}}')
    assert operator.final("f1")["result"]["cancelled"] is True


@pytest.mark.parametrize(
    ("command", "args", "words"),
    [
        ("processes", "{}", "does not allow 'processes'"),
        ("logs", '{"source":"journal"}', "does not allow 'logs' with these arguments, only: logs source=app"),
        ("shell", '{"name":"count","to":"1; id"}', "does not match"),
    ],
)
def test_what_the_hosts_settings_do_not_allow_is_refused_with_the_reason(
    operator: Operator, command: str, args: str, words: str
) -> None:
    request_id = f"r-{command}"
    operator.send(command, f'{{"id":"{request_id}","args":{args}}}')
    final = operator.final(request_id)
    assert final["state"] == "refused"
    assert words in final["result"]["error"]


def test_a_response_topic_and_correlation_data_are_honoured(operator: Operator) -> None:
    here = f"iot/v1/{HOST}/reply/elsewhere"
    operator.send("ping", '{"id":"p1"}', "-D", "publish", "response-topic", here)
    assert operator.final("p1")["state"] == "done"


def test_a_request_that_is_sent_twice_runs_once(operator: Operator) -> None:
    operator.send("ping", '{"id":"d1"}')
    operator.final("d1")  # while the first runs, the second would be passed over without a word
    operator.send("ping", '{"id":"d1"}')
    wait_until(lambda: [reply["state"] for reply in operator.replies("d1")] == ["accepted", "done", "refused"], 60)
    assert operator.replies("d1")[-1]["result"]["duplicate"] is True


def test_the_birth_tells_what_the_host_takes(operator: Operator) -> None:
    operator.send("info", '{"id":"i1"}')
    commands = {entry["name"]: entry["allowed"] for entry in operator.final("i1")["result"]["commands"]}
    assert commands["logs"] is True
    assert commands["files"] is False
