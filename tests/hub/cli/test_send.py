"""``iothub send``, ``commands``, ``fleet``, ``audit`` and ``operator`` over the real API and a node that is played."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import stat
from typing import TYPE_CHECKING, Any

import pytest

from hub.cli.base import CliError
from hub.cli.sending import arguments
from tests.hub.api.test_commands import Bench, bench
from tests.support.commands import Commands, Said
from tests.support.waiting import eventually
from wire.signing import read_public, verify

if TYPE_CHECKING:
    from pathlib import Path


async def sending(it: Bench, commands: Commands, *words: str, count: int = 1) -> asyncio.Task[Said]:
    """``iothub send …`` that waits, once so many commands are out."""
    before = len(it.link.published)
    asking = asyncio.create_task(commands("send", *words))
    await eventually(lambda: len(it.link.published) == before + count or asking.done())
    assert not asking.done(), asking.result()
    return asking


def test_output_comes_out_in_order_and_the_exit_code_is_the_commands_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            commands = Commands(tmp_path, it.api)
            asking = await sending(it, commands, "n1", "shell", "run=uptime", "lines=50", 'text="7"', "--timeout", "9s")
            _, name, body, _ = it.link.published[0]
            assert (name, body.args, body.timeout) == ("shell", {"run": "uptime", "lines": 50, "text": "7"}, 9)
            await it.say("n1", body.id or "", "accepted")
            for n, (stream, data) in enumerate((("stdout", "a\n"), ("stderr", "b\n"), ("stdout", "c\n")), start=1):
                await it.say("n1", body.id or "", "output", n=n, stream=stream, data=data)
            await it.say("n1", body.id or "", "failed", n=4, code=3, result={"error": "exit code 3"})
            said = await asking
            assert (said.code, said.out) == (3, "a\nc\n")
            assert said.err == "b\n-- failed, exit code 3: exit code 3\n"

    asyncio.run(scenario())


def test_the_result_of_a_command_without_output_is_printed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            commands = Commands(tmp_path, it.api)
            asking = await sending(it, commands, "n1", "ping")
            body = it.link.published[0][2]
            await it.say("n1", body.id or "", result={"version": "\x1b[2J1"})
            assert await asking == Said(0, "version  \\x1b[2J1\n", "")
            asking = await sending(it, commands, "n1", "ping", "--json")
            await it.nodes.answer()
            assert json.loads((await asking).out)["state"] == "done"

    asyncio.run(scenario())


@pytest.mark.parametrize("state", ["failed", "refused", "timeout", "expired"])
def test_what_was_not_done_is_no_success(tmp_path: Path, state: str) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            asking = await sending(it, Commands(tmp_path, it.api), "n1", "ping")
            await it.nodes.answer(lambda _: state)
            said = await asking
            assert (said.code, said.err) == (1, f"-- {state}\n")

    asyncio.run(scenario())


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            commands = Commands(tmp_path, it.api)
            await it.born("n2", commands=[{"name": "ping"}])
            await it.http.post("/api/v1/nodes", json={"node": "off"})
            for words, code, text in (
                (("nobody", "ping"), 1, "no such node"),
                (("off", "ping"), 1, "never here. To let the command wait for it: --expires 1h"),
                (("n2", "pong"), 1, "knows no command 'pong'; it knows ping"),
                (("n1", "ping", "x"), 2, "name=value"),
                (("n1", "ping", "--stages", "1,all"), 2, "several nodes"),
                (("n1", "ping", "--sign", "none.key"), 2, "No such file"),
                (("zz*", "ping"), 1, "no node matches zz*"),
                (("n*", "ping", "--stages", "5,1"), 1, "do not rise"),
                (("n 1", "ping"), 2, "node id"),
            ):
                said = await commands("send", *words)
                assert (said.code, text in said.err) == (code, True), said
            assert it.link.published == []

    asyncio.run(scenario())


def test_a_command_may_be_left_waiting_and_looked_at_and_cancelled(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            commands = Commands(tmp_path, it.api)
            await it.http.post("/api/v1/nodes", json={"node": "off"})
            said = await commands("send", "off", "ping", "--detach", "--expires", "1h")
            assert (said.code, "waits for the node" in said.out) == (0, True)
            command_id = said.out.split()[0]
            assert it.link.published[0][3] == 3600
            assert "waiting" in (await commands("commands")).out
            shown = (await commands("commands", "show", command_id)).out
            assert re.search(r"state +waiting \(says the hub\)", shown)
            assert (await commands("commands", "cancel", command_id)).code == 0
            assert it.link.published[1][1:3] == ("cancel", it.link.published[1][2])
            assert (await commands("commands", "show", "nothing")).code == 1

    asyncio.run(scenario())


def test_many_nodes_give_one_table_and_one_exit_code(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            commands = Commands(tmp_path, it.api)
            await it.born("lab-1", "lab-2")
            asking = await sending(it, commands, "lab-*", "ping", count=2)
            await it.nodes.answer()
            said = await asking
            assert (said.code, said.out.splitlines()[-1]) == (0, "2 nodes: 2 done")
            assert [line.split()[:2] for line in said.out.splitlines()[1:3]] == [["lab-1", "done"], ["lab-2", "done"]]
            asking = await sending(it, commands, "lab-*,n1", "ping", "--stages", "1,all", "--stop-after-failures", "1")
            await it.nodes.answer(lambda _: "failed")
            said = await asking
            assert (said.code, "2 not begun" in said.out, "stopped: 1 failed" in said.out) == (1, True, True)
            runs = (await commands("fleet")).out
            assert (runs.count("ping"), "stopped" in runs) == (2, True)
            run_id = runs.split()[-1]
            assert "2 nodes: 2 done" in (await commands("fleet", "show", run_id)).out

    asyncio.run(scenario())


def test_the_journal_is_verified_by_the_reader(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            commands = Commands(tmp_path, it.api)
            noted = (await commands("audit")).out.strip()
            await it.http.post("/api/v1/nodes/n1/commands/ping", json={})
            said = await commands("audit", "verify", "--noted", noted)
            assert (said.code, "3 rows, all as they were written" in said.out) == (0, True)
            said = await commands("audit", "verify", "--noted", f"1:{'0' * 64}", "--json")
            assert (said.code, json.loads(said.out)["broken_at"]) == (1, 1)
            assert (await commands("audit", "verify", "--noted", "x")).code == 2
            assert [line.split()[3] for line in (await commands("audit", "list")).out.splitlines()] == [
                "begun",
                "request",
                "sent",
            ]

    asyncio.run(scenario())


def test_the_journal_of_a_hub_that_does_not_run_is_read_from_its_file(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path / "var") as it:
            commands = Commands(tmp_path, it.api)
            await it.http.post("/api/v1/nodes/n1/commands/ping", json={})
        (tmp_path / "var" / "run.json").unlink()
        assert (await commands("audit", "verify")).code == 0
        file = sqlite3.connect(tmp_path / "var" / "commands.db")
        file.execute("DROP TRIGGER journal_is_not_changed")
        file.execute("UPDATE journal SET facts = replace(facts, 'admin', 'nobody') WHERE number = 2")
        file.commit()
        file.close()
        said = await commands("audit", "verify")
        assert (said.code, said.out.startswith("Row 2 is not what was written")) == (1, True)

    (tmp_path / "var").mkdir()
    asyncio.run(scenario())


def test_a_key_is_private_signs_commands_and_is_not_overwritten(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path / "var") as it:
            commands, keys = Commands(tmp_path, it.api), tmp_path / "keys"
            assert (await commands("operator", "keygen", "ada", "--folder", str(keys))).code == 0
            private, public = keys / "ada.key", keys / "ada.pub"
            assert {stat.S_IMODE(file.stat().st_mode) for file in (private, public)} == {0o600}
            again = await commands("operator", "keygen", "ada", "--folder", str(keys))
            assert (again.code, "nothing was overwritten" in again.err) == (2, True)
            assert (await commands("operator", "trust", str(public))).code == 0
            asking = await sending(it, commands, "n1", "ping", "x=1", "--sign", str(private), "--timeout", "5s")
            node, name, body, _ = it.link.published[0]
            assert verify(body, node, name, {"ada": read_public(public.read_text())}) == "ada"
            await it.nodes.answer()
            assert (await asking).code == 0
            shown: dict[str, Any] = await it.shown(body.id or "")
            assert (shown["sender"]["signer"], shown["sender"]["verified"]) == ("ada", True)
            await it.born("lab-1", "lab-2")
            assert (await commands("send", "lab-*", "ping", "--sign", str(private), "--detach")).code == 0
            await eventually(lambda: len(it.link.published) == 3)
            for node, name, body, _ in it.link.published[1:]:
                assert verify(body, node, name, {"ada": read_public(public.read_text())}) == "ada"

    (tmp_path / "var").mkdir()
    asyncio.run(scenario())


def test_what_was_sent_signed_is_cancelled_signed_also_by_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> bool:
        raise KeyboardInterrupt

    async def scenario() -> None:
        async with bench(tmp_path / "var") as it:
            commands, keys = Commands(tmp_path, it.api), tmp_path / "keys"
            await commands("operator", "keygen", "ada", "--folder", str(keys))
            key, public = str(keys / "ada.key"), read_public((keys / "ada.pub").read_text())

            def cancelled() -> str:
                node, name, body, _ = it.link.published[-1]
                assert verify(body, node, name, {"ada": public}) == "ada"
                assert (node, name) == ("n1", "cancel")
                return str(body.args["id"])

            await commands("send", "n1", "ping", "--sign", key, "--detach")
            first = it.link.published[0][2].id or ""
            said = await commands("commands", "cancel", first, "--sign", key)
            assert (said.code, cancelled()) == (0, first)
            with monkeypatch.context() as patched:
                patched.setattr("hub.cli.sending.Printer.event", interrupted)
                asking = asyncio.create_task(commands("send", "n1", "ping", "--sign", key))
                await eventually(lambda: len(it.link.published) == 3)
                second = it.link.published[2][2].id or ""
                await it.say("n1", second, "accepted")
                said = await asking
            assert (said.code, cancelled()) == (130, second)
            assert "asked n1 to cancel it" in said.err

    (tmp_path / "var").mkdir()
    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("a=1", 1),
        ("a=1.5", 1.5),
        ("a=true", True),
        ("a=null", None),
        ("a=[1,2]", [1, 2]),
        ('a={"b":1}', {"b": 1}),
        ('a="1"', "1"),
        ("a=007", "007"),
        ("a=NaN", "NaN"),
        ("a=x=y", "x=y"),
        ("a=", ""),
    ],
)
def test_values_are_json_or_text(word: str, value: object) -> None:
    assert arguments([word]) == {"a": value}


def test_an_argument_without_a_name_is_refused() -> None:
    for word in ("a", "=1", ""):
        with pytest.raises(CliError, match="name=value"):
            arguments([word])
