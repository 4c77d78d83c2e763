"""Documentation that cannot drift: settings, reasons, formats, commands, samples and links are compared with code."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

import pytest
import typer.main

import agent.config
import dashboard.config
import hub.config
from hub.cli.app import app
from tests.support.settings_docs import Row, rows
from tests.support.sources import ROOT
from wire.errors import Reason
from wire.formats import FORMATS
from wire.formats.logs import LEVELS
from wire.settings import SECTIONS, load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS = ROOT / "docs" / "settings.md"
PAYLOADS = ROOT / "docs" / "payloads.md"
SAMPLE = ROOT / "docs" / "iothub.sample.toml"
PAGES = sorted(
    page
    for page in ROOT.rglob("*.md")
    if not {".venv", "node_modules", "var", ".pytest_cache"} & set(page.relative_to(ROOT).parts)
)
#: Sections at the top of settings.md are named so that people can read them.
TOP = "At the top of the file"


def expected_rows() -> set[Row]:
    return {*rows(hub.config.Settings), *rows(agent.config.Settings), *rows(dashboard.config.Settings)}


def documented_rows(text: str) -> Iterator[tuple[Row, str]]:
    """Each row of the tables, and its meaning."""
    section = ""
    for line in text.splitlines():
        if line.startswith("## "):
            title = line.removeprefix("## ")
            section = "" if title == TOP else title[1:-1]
        elif line.startswith("| `"):
            key, default, allowed, meaning = (cell.strip() for cell in line.strip("|").split(" | ", 3))
            yield Row(section, key.strip("` "), default, allowed), meaning


def test_every_setting_is_documented_with_its_default_and_bounds() -> None:
    documented = {row for row, _ in documented_rows(SETTINGS.read_text(encoding="utf-8"))}
    missing, stale = expected_rows() - documented, documented - expected_rows()
    assert (missing, stale) == (set(), set()), f"write these into docs/settings.md: {missing}; these are wrong: {stale}"


def test_every_setting_says_what_it_means() -> None:
    meanings = list(documented_rows(SETTINGS.read_text(encoding="utf-8")))
    assert [row for row, meaning in meanings if len(meaning.split()) < 4] == []
    assert len({(row.section, row.key) for row, _ in meanings}) == len(meanings)


def test_every_section_is_one_that_all_processes_know() -> None:
    assert {*hub.config.Settings.model_fields, *agent.config.Settings.model_fields} == SECTIONS


def test_the_sample_is_the_defaults_and_changes_nothing() -> None:
    assert load(hub.config.Settings, SAMPLE, environ={}) == hub.config.Settings()
    assert agent.config.load_settings(SAMPLE, environ={}) == agent.config.Settings()


def test_the_sample_holds_every_setting_and_loads_with_all_of_them_on(tmp_path: Path) -> None:
    text = re.sub(r"^#(?=\S)", "", SAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    file = tmp_path / "all.toml"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    load(hub.config.Settings, file, environ={})
    agent.config.load_settings(file, environ={})
    dashboard.config.load_settings(file, environ={})
    named = {row._replace(section=row.section.replace("NAME", "cpu").strip("[]")) for row in expected_rows()}
    assert {(row.section, row.key) for row in named} == set(keys(tomllib.loads(text)))


def keys(table: dict[str, object], section: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        name = f"{section}.{key}" if section else key
        below = value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else value
        if isinstance(below, dict):
            yield from keys(below, name)
        else:
            yield section, key


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_of_a_refusal_is_explained(reason: Reason) -> None:
    assert f"\n| `{reason}` | " in PAYLOADS.read_text(encoding="utf-8")


@pytest.mark.parametrize("word", [*FORMATS, *LEVELS])
def test_every_format_and_level_is_named(word: str) -> None:
    assert f"`{word}`" in PAYLOADS.read_text(encoding="utf-8")


def test_every_command_that_a_page_names_exists() -> None:
    command = typer.main.get_command(app)
    commands = getattr(command, "commands")  # noqa: B009  typer's type does not say that it is a group
    named = {
        (page.name, word)
        for page in PAGES
        for word in re.findall(r"(?:^|`)iothub ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert {word for _, word in named} >= {"nodes", "query", "tail", "watch"}
    assert {(page, word) for page, word in named if word not in commands} == set()


def test_every_script_that_a_page_names_exists() -> None:
    named = {word for page in PAGES for word in re.findall(r"\bscripts/([a-z]+)", page.read_text(encoding="utf-8"))}
    assert {name for name in named if not (ROOT / "scripts" / name).exists()} == set()


def test_every_file_that_the_readme_names_exists() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:wire|hub|agent|docs|tests)/[\w./]*)`", text)
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert broken_links(page, page.read_text(encoding="utf-8")) == []


def broken_links(page: Path, text: str) -> list[str]:
    found = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [link for link in found if "://" not in link and not _leads(page, *link.partition("#")[::2])]


def _leads(page: Path, path: str, anchor: str) -> bool:
    target = page.parent / path if path else page
    if not target.exists():
        return False
    if not anchor:
        return True
    headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
    return anchor in {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_the_guards_see_what_is_wrong() -> None:
    page = ROOT / "README.md"
    assert broken_links(page, "[a](nope.md) [b](README.md#nope) [c](docs/README.md) [d](https://x.y)") == [
        "nope.md",
        "README.md#nope",
    ]
    ((row, meaning),) = documented_rows("## [mqtt]\n| key | default | allowed | meaning |\n| `port` | `1` | text | A |")
    assert (row, meaning) == (Row("mqtt", "port", "`1`", "text"), "A")
