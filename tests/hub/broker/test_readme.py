"""The commands of ``mosquitto/README.md``, run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hub.broker.credentials import password_of
from tests.support.device import GRANTED_QOS_1, NO_SUBSCRIBERS, NOT_AUTHORISED, SUCCESS, Device
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.secured import Secured

README = (Path(__file__).parents[3] / "mosquitto" / "README.md").read_text(encoding="utf-8")


def block(containing: str) -> str:
    """The one code block that contains this text."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", README, re.DOTALL | re.MULTILINE)
    blocks = [text for text in blocks if containing in text]
    assert len(blocks) == 1
    return str(blocks[0])


def run(script: str, cwd: Path) -> str:
    done = subprocess.run(
        ["/bin/sh", "-euc", script], cwd=cwd, capture_output=True, text=True, timeout=30, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_account_made_by_hand_has_the_rights_of_a_node(broker: Secured, tmp_path: Path) -> None:
    admin = f"mosquitto_ctrl -h 127.0.0.1 -p {broker.port} -u admin -P {password_of(broker.admin())}"
    script = block("createClient dev1").replace("mosquitto_ctrl -h HOST -u admin", admin)
    run(script.replace("createClient dev1 -c dev1", "createClient dev1 -c dev1 -p secret"), tmp_path)
    (tmp_path / "secret").write_text("secret")
    mqtt = broker.agent().model_copy(
        update={"username": "dev1", "client_id": "dev1", "password_file": tmp_path / "secret"}
    )
    with Device(mqtt) as device:
        assert device.subscribe("iot/v1/dev1/cmd/+") == GRANTED_QOS_1
        assert device.subscribe("iot/v1/dev1/#") == NOT_AUTHORISED
        assert device.publish("iot/v1/dev1/telemetry/room") in (SUCCESS, NO_SUBSCRIBERS)
        assert device.publish("iot/v1/dev1/cmd/reboot") >= NOT_AUTHORISED


def test_people_publish_and_listen_with_the_commands_shown(broker: Secured, tmp_path: Path) -> None:
    subscribe, publish = block("mosquitto_sub").strip().splitlines()
    where = f"-V 5 -p {broker.port}"
    with subprocess.Popen(
        ["/bin/sh", "-c", "exec " + subscribe.replace("-V 5", f"{where} -C 1 -W 20")],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as listener:
        wait_until(lambda: "as auto-" in broker.log.read_text(), what="the listener is connected")
        password = broker.add_node("dev1").password
        # Until the subscription is there a message may pass unheard: the device says it until it was heard.
        script = publish.strip().replace("-V 5", where).replace("PASSWORD", password)
        wait_until(lambda: run(script, tmp_path) == "" and listener.poll() is not None, what="the message is heard")
        assert listener.stdout is not None
        assert listener.stdout.read() == 'iot/v1/dev1/telemetry/room {"temperature": 21.5}\n'


@pytest.mark.parametrize("name", ["mosquitto.conf", "dynamic-security.json", "mosquitto.db"])
def test_the_files_are_where_the_readme_says(broker: Secured, name: str) -> None:
    broker.stop()
    assert name in block("{state}/mosquitto/")
    assert [path.name for path in broker.paths.broker.rglob(name)] == [name]
