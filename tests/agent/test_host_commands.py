"""``processes``, ``logs``, ``services``, ``service-restart`` and ``info``, with real files and programs."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from tests.support.commanding import Bench, run_commands
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SYSTEMCTL = """#!/bin/sh
printf '%s\\n' "$*" >> {calls}
case "$1" in
list-units)
  echo 'nginx.service loaded active running A web server and proxy'
  echo 'app-one.service loaded failed failed'
  ;;
restart) if [ "$3" = broken.service ]; then echo 'Job for broken.service failed.' >&2; exit 1; fi ;;
show) echo ActiveState=active; echo SubState=running ;;
esac
"""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("mosquitto")) as running:
        yield running


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl that knows two services, and the file of its calls."""
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(SYSTEMCTL.format(calls=tmp_path / "calls"), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return tmp_path / "calls"


def said(calls: Path) -> str:
    return calls.read_text(encoding="utf-8") if calls.exists() else ""


async def send(bench: Bench, command: str, request_id: str, **args: object) -> dict[str, Any]:
    bench.send(command, json.dumps({"id": request_id, "args": args}))
    return await bench.final(f"/{request_id}")


def test_processes_are_told_without_their_command_lines(broker: Mosquitto, tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        result = (await send(bench, "processes", "p1", by="memory", top=500))["result"]
        mine = next(row for row in result["processes"] if row["pid"] == os.getpid())
        assert mine["rss_bytes"] > 10_000_000
        sizes = [row["rss_bytes"] for row in result["processes"]]
        assert sizes == sorted(sizes, reverse=True)
        assert str(tmp_path) not in json.dumps(result)
        assert result["total"] >= result["shown"] == len(result["processes"])

    run_commands(broker, test, state=tmp_path)


def test_the_end_of_a_log_is_sent(broker: Mosquitto, tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text("".join(f"line {number}\n" for number in range(500)), encoding="utf-8")

    async def test(bench: Bench) -> None:
        assert (await send(bench, "logs", "l1", source="app", lines="3"))["state"] == "done"
        assert bench.output("/l1") == "line 497\nline 498\nline 499\n"

    run_commands(broker, test, state=tmp_path, logs={"app": str(tmp_path / "app.log")})


def test_a_log_is_followed_over_its_rotation_until_it_is_cancelled(broker: Mosquitto, tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("old\n", encoding="utf-8")

    async def test(bench: Bench) -> None:
        bench.send("logs", '{"id":"f1","args":{"source":"app","lines":1,"follow":true},"timeout":60}')
        await eventually(lambda: bench.output("/f1") == "old\n")
        with log.open("a", encoding="utf-8") as file:
            file.write("new\n")
        await eventually(lambda: bench.output("/f1") == "old\nnew\n")
        log.rename(tmp_path / "app.log.1")
        log.write_text("rotated\n", encoding="utf-8")
        await eventually(lambda: bench.output("/f1") == "old\nnew\nrotated\n")
        bench.send("cancel", '{"id":"c1","args":{"id":"f1"}}')
        assert (await bench.final("/f1"))["result"]["cancelled"] is True

    run_commands(broker, test, state=tmp_path, logs={"app": str(log)})


def test_following_ends_where_the_output_is_bounded(broker: Mosquitto, tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(5000 * "0123456789\n", encoding="utf-8")

    async def test(bench: Bench) -> None:
        final = await send(bench, "logs", "b1", source="app", lines=5000, follow=True)
        assert final["result"]["truncated_bytes"] > 0
        assert len(bench.output("/b1")) == 2048

    run_commands(broker, test, state=tmp_path, logs={"app": str(tmp_path / "app.log")}, max_output_bytes=2048)


@pytest.mark.parametrize("source", ["other", "/etc/passwd", "../app", "journal"])
def test_only_logs_that_the_settings_name_are_read(broker: Mosquitto, tmp_path: Path, source: str) -> None:
    async def test(bench: Bench) -> None:
        final = await send(bench, "logs", "r1", source=source)
        assert (final["state"], final["result"]["error"]) == ("refused", f"no log {source!r} here; there are app")

    run_commands(broker, test, state=tmp_path, logs={"app": "/var/log/app.log"})


def test_services_are_listed_and_one_is_restarted(broker: Mosquitto, tmp_path: Path, calls: Path) -> None:
    async def test(bench: Bench) -> None:
        final = await send(bench, "services", "s1", name="nginx")
        (service,) = final["result"]["services"]
        assert (service["name"], service["active"], service["description"]) == (
            "nginx", "active", "A web server and proxy",
        )  # fmt: skip
        final = await send(bench, "service-restart", "s2", service="nginx.service")
        assert final["result"] == {"service": "nginx", "active": "active", "sub": "running"}
        assert "restart -- nginx.service\n" in said(calls)
        final = await send(bench, "service-restart", "s3", service="broken")
        assert (final["state"], final["code"]) == ("failed", 1)
        assert "Job for broken.service failed." in final["result"]["error"]

    run_commands(broker, test, state=tmp_path)


@pytest.mark.parametrize("service", ["--force", "a b", "a;reboot", "../x", "", "nginx\n", "a/b", "$(id)"])
def test_what_is_no_name_of_a_service_is_refused(broker: Mosquitto, tmp_path: Path, calls: Path, service: str) -> None:
    async def test(bench: Bench) -> None:
        assert (await send(bench, "service-restart", "w1", service=service))["state"] == "refused"
        assert said(calls) == ""

    run_commands(broker, test, state=tmp_path)


def test_patterns_of_the_settings_hold_for_real_commands(broker: Mosquitto, tmp_path: Path, calls: Path) -> None:
    async def test(bench: Bench) -> None:
        assert (await send(bench, "service-restart", "a1", service="app-one"))["state"] == "done"
        # Seen by the policy as it is used, whatever way it is written.
        assert (await send(bench, "service-restart", "a2", service="app-one.service"))["state"] == "done"
        assert (await send(bench, "service-restart", "a3", service="sshd"))["state"] == "refused"
        assert "sshd" not in said(calls)
        final = await send(bench, "processes", "a4")
        assert "does not allow 'processes'" in final["result"]["error"]

    run_commands(broker, test, state=tmp_path, allow=["service-restart service=~app-[a-z]+"])


def test_info_tells_the_commands_with_schemas_that_fit_their_arguments(broker: Mosquitto, tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        commands = (await send(bench, "info", "i1"))["result"]["commands"]
        by_name = {entry["name"]: entry for entry in commands}
        assert by_name["processes"] == {"name": "processes", "allowed": False}
        assert by_name["logs"]["when"] == ["source=app"]
        assert "when" not in by_name["info"]
        for entry in commands:
            jsonschema.Draft202012Validator.check_schema(entry.get("args", {}))
        jsonschema.validate({"source": "app", "lines": 5}, by_name["logs"]["args"])
        jsonschema.validate({"name": "df", "path": "/var"}, by_name["shell"]["args"])
        for wrong in ({"name": "df", "path": "/x;id"}, {"name": "df"}, {"name": "rm"}, {}):
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(wrong, by_name["shell"]["args"])

    settings = {
        "allow": ["info", "logs source=app", "shell"],
        "logs": {"app": "/x"},
        "shell": {"df": {"run": ["df", "{path}"], "args": {"path": "/[a-z]*"}}},
    }
    run_commands(broker, test, state=tmp_path, **settings)
