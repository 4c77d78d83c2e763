"""Commands through the real hub and a real Mosquitto, both of which are killed."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from bench.hub import HubProcess
from hub.commands.journal import Head, Row, verified
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def pub(broker: Mosquitto, topic: str, payload: str, *more: str) -> None:
    argv = ["mosquitto_pub", "-V", "5", "-p", str(broker.port), "-q", "1", "-t", topic, "-m", payload, *more]
    subprocess.run(argv, check=True, timeout=20)


def states(hub: HubProcess) -> dict[str, str]:
    return {f"{each['node']}/{each['id']}": each["state"] for each in hub.get("commands")["items"]}


def journal(hub: HubProcess) -> list[Row]:
    return [Row(**row) for row in hub.get("audit")["items"]]


def test_commands_of_anybody_are_recorded_and_their_states_outlive_kills_of_hub_and_broker(tmp_path: Path) -> None:
    """One hub for all of it: a start takes seconds."""
    with Mosquitto(tmp_path / "broker") as broker, HubProcess(tmp_path / "state", broker.port) as hub:
        hub.wait_linked()
        # A foreign command, its reply, and a forged one on the topic of another node.
        pub(broker, "iot/v1/n1/cmd/ping", '{"id":"x1","args":{"a":1}}', "-D", "publish", "user-property", "user", "ada")
        pub(broker, "iot/v1/n2/reply/x1", '{"id":"x1","n":0,"state":"done"}')
        pub(broker, "iot/v1/n1/reply/x1", '{"id":"x1","n":0,"state":"accepted"}')
        wait_until(lambda: states(hub).get("n1/x1") == "accepted", 60, "the foreign command is recorded")
        assert states(hub)["n2/x1"] == "done"
        found = hub.get("commands/x1", node="n1")
        assert (found["origin"], found["sender"]["claimed"], found["args"]) == ("mqtt", "ada", {"a": 1})
        assert [row.kind for row in journal(hub)] == ["begun", "request", "stray", "accepted"]
        head = hub.get("audit/head")

        # The hub is killed; what is said meanwhile counts when it is back.
        hub.kill()
        pub(broker, "iot/v1/n1/reply/x1", '{"id":"x1","n":1,"state":"output","stream":"stdout","data":"hi"}')
        pub(broker, "iot/v1/n1/reply/x1", '{"id":"x1","n":2,"state":"done","code":0}')
        hub.start()
        wait_until(lambda: states(hub).get("n1/x1") == "done", 60, "the reply of the time without hub is recorded")
        assert hub.get("commands/x1/output", node="n1")["items"][0]["data"] == "hi"

        # A command of the hub's own: recorded once, waits for a node that is off, also when the broker was killed.
        pub(broker, "iot/v1/n3/status", '{"state":"online","info":{"commands":[{"name":"ping"}]}}')
        pub(broker, "iot/v1/n3/status", '{"state":"offline","reason":"shutdown"}')
        wait_until(lambda: _contact(hub, "n3") == "offline", 60, "the node is seen off")
        sent = hub.post("nodes/n3/commands/ping", {"expires_s": 600})
        assert sent["state"] == "waiting"
        broker.kill()
        broker.start()
        hub.wait_linked()

        def again() -> None:
            hub.kill()
            hub.start()

        assert _received(broker, "iot/v1/n3/cmd/+", again) == sent["id"]
        assert states(hub)[f"n3/{sent['id']}"] == "waiting"
        own = [row.kind for row in journal(hub) if row.id == sent["id"]]
        assert own == ["request", "sent"]
        assert verified(journal(hub), noted=Head(**head)).broken_at is None

        # What cannot be recorded would end the hub again and again; see tests/hub/commands/test_extremes.py.
        pub(broker, "iot/v1/n9/cmd/ping", '{"id":"far","expires":9223372036854775807,"timeout":1e308}')
        wait_until(lambda: states(hub).get("n9/far") == "waiting", 60, "the end of time is recorded")


def _contact(hub: HubProcess, node: str) -> str | None:
    return next((each["contact"] for each in hub.get("nodes")["items"] if each["node"] == node), None)


def _received(broker: Mosquitto, topic_filter: str, act: Callable[[], None]) -> str:
    """Id of the command that comes after ``act``: what the broker forgot is sent to it again."""
    argv = ["mosquitto_sub", "-V", "5", "-p", str(broker.port), "-q", "1", "-t", topic_filter, "-C", "1", "-F", "%j"]
    with subprocess.Popen([*argv, "-W", "30"], stdout=subprocess.PIPE, text=True) as listening:
        act()
        out, _ = listening.communicate(timeout=40)
    payload = json.loads(out)["payload"]
    found: str = (json.loads(payload) if isinstance(payload, str) else payload)["id"]
    return found
