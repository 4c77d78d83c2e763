"""``iothub rules`` as people run it, over the real API and without a hub."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from hub.cli.app import run
from tests.support.commands import Commands
from tests.support.rulesapi import with_rules
from wire.point import NS_PER_S, Point, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    import pytest

    from hub.rules.book import RuleBook
    from tests.support.api import Api

RULES = """\
[rules.hot]
metric = "room.temperature"
above = 30
message = "{node} {tags.place}"

[[tests]]
name = "a peak"
rule = "hot"
series = [{ metric = "room.temperature", every = "1m", values = "20 31 20" }]
expect = [{ at = "1m", kind = "firing" }, { at = "2m", kind = "resolved" }]
"""


def with_hub(folder: Path, body: Callable[[Api, RuleBook, Commands], Awaitable[None]]) -> None:
    async def scenario() -> None:
        async with with_rules(folder) as (api, book):
            await body(api, book, Commands(folder, api))

    asyncio.run(scenario())


def test_rules_are_listed_with_and_without_the_word_list(tmp_path: Path) -> None:
    async def body(_api: Api, book: RuleBook, commands: Commands) -> None:
        said = await commands("rules")
        assert said.out == (await commands("rules", "list")).out
        assert "cpu-busy" in said.out
        assert "mean of cpu.usage over 1m above 90 / 98 for 5m" in said.out
        listed = json.loads((await commands("rules", "list", "--json")).out)
        assert [rule["name"] for rule in listed] == list(book.entries)

    with_hub(tmp_path, body)


def test_a_rule_is_shown_as_it_would_stand_in_the_file(tmp_path: Path) -> None:
    async def body(_api: Api, book: RuleBook, commands: Commands) -> None:
        book.path.write_text(RULES)
        assert (await commands("rules", "reload")).out.endswith("of them on.\n")
        assert (await commands("rules", "show", "hot")).out == RULES.split("\n\n", maxsplit=1)[0] + "\n"
        missing = await commands("rules", "show", "none")
        assert missing.code == 1
        assert "there is no such rule; `iothub rules` lists those that there are" in missing.err

    with_hub(tmp_path, body)


def test_a_rule_is_switched_off_and_on(tmp_path: Path) -> None:
    async def body(_api: Api, book: RuleBook, commands: Commands) -> None:
        assert (await commands("rules", "disable", "disk-full")).out == "disk-full is off.\n"
        assert not book.entries["disk-full"].rule.enabled
        assert (await commands("rules", "disable", "disk-full")).out == "disk-full is off already.\n"
        assert (await commands("rules", "enable", "disk-full")).out == "disk-full is on.\n"
        assert "disk-full" not in book.path.read_text()

    with_hub(tmp_path, body)


def test_a_test_over_history_says_how_often_when_and_how_long(tmp_path: Path) -> None:
    async def body(api: Api, book: RuleBook, commands: Commands) -> None:
        book.path.write_text(RULES)
        book.reload()
        key = SeriesKey("n1", "room", (("place", "\x1b[2Jcellar"),))
        now_ns = api.clock() // NS_PER_S * NS_PER_S
        values = [20.0, 35.0, 35.0, 20.0]
        await api.parts.store.write(
            [Point(key, now_ns - (400 - at * 100) * NS_PER_S, {"temperature": v}) for at, v in enumerate(values)]
        )
        said = (await commands("rules", "test", "hot", "--last", "1h")).out
        assert "4 samples, would have fired 1 time, for 3 min" in said
        assert "\\x1b[2Jcellar" in said
        assert "\x1b[2J" not in said
        answer = json.loads((await commands("rules", "test", "hot", "--last", "1h", "--json")).out)
        assert (answer["fired"], answer["firing_s"]) == (1, 200.0)
        other = tmp_path / "other.toml"
        other.write_text(RULES.replace("above = 30", "above = 40"))
        answer = json.loads((await commands("rules", "test", "hot", "--file", str(other), "--json")).out)
        assert answer["fired"] == 0
        missing = await commands("rules", "test", "hot", "--file", str(tmp_path / "none.toml"))
        assert (missing.code, f"there is no file {tmp_path / 'none.toml'}" in missing.err) == (2, True)

    with_hub(tmp_path, body)


def test_check_runs_the_tests_of_a_file_without_a_hub(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(RULES)
    assert run(["--state", str(tmp_path), "rules", "check"]) == 0
    assert capsys.readouterr().out == f"ok  a peak (hot)\n{file}: 1 rule, 1 test, 0 failed.\n"


def test_check_fails_when_a_test_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(RULES.replace("20 31 20", "20 31 31"))
    assert run(["--state", str(tmp_path), "rules", "check", str(file)]) == 1
    assert "did not happen: resolved at any severity at 2m" in capsys.readouterr().out


def test_check_names_what_is_wrong_with_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(RULES.replace("above = 30", 'above = "30"'))
    assert run(["--state", str(tmp_path), "rules", "check", str(file)]) == 2
    assert f"{file}:3: rules.hot.above = '30': must be a number" in capsys.readouterr().err


def test_check_without_a_file_says_what_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--state", str(tmp_path), "rules", "check"]) == 0
    assert "There is no rules file yet" in capsys.readouterr().out


def test_the_check_of_the_settings_finds_rules_that_notify_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(RULES.replace("above = 30", 'above = 30\nnotify = ["phone"]'))
    assert run(["--state", str(tmp_path), "check"]) == 2
    expected = f"{file}: rules.hot.notify: 'phone' is no channel of [[notify.channels]]; there are: none\n"
    assert capsys.readouterr().out == expected


def test_the_check_of_the_settings_reads_the_rules_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(RULES.replace("above = 30", 'above = "30"'))
    assert run(["--state", str(tmp_path), "check"]) == 2
    assert f"{file}:3: rules.hot.above = '30': must be a number" in capsys.readouterr().out
