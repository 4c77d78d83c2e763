"""The rules file: changed by the hub, edited by people, wrong in every way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.rules.book import NoSuchRule, RuleBook, RuleShipped
from hub.rules.files import Source, shipped_rules
from wire.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """\
# My house.

[rules.cellar]   # damp
metric = "room.humidity"
# more than this and it moulds
above = 70  # percent

[rules.cpu-busy]
enabled = false
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(TEXT)
    return path


def test_a_file_that_does_not_exist_leaves_the_shipped_rules(tmp_path: Path) -> None:
    book = RuleBook(tmp_path / "none.toml")
    assert {entry.source for entry in book.entries.values()} == {Source.SHIPPED}
    assert list(book.entries) == list(shipped_rules())


def test_shipped_rules_can_be_left_out(file: Path) -> None:
    assert list(RuleBook(file.with_name("none.toml"), shipped=False).entries) == []


def test_a_table_without_a_metric_changes_the_shipped_rule_key_by_key(file: Path) -> None:
    entry = RuleBook(file).entries["cpu-busy"]
    assert (entry.source, entry.rule.enabled, entry.rule.metric) == (Source.CHANGED, False, "cpu.usage")


def test_a_changed_rule_keeps_the_comments_of_the_file(file: Path) -> None:
    book = RuleBook(file)
    book.put("cellar", {"metric": "room.humidity", "above": 75, "for": "5m"})
    text = file.read_text()
    assert "# My house." in text
    assert "# damp" in text
    assert "# more than this and it moulds" in text
    assert "above = 75" in text
    assert RuleBook(file).entries["cellar"].rule.hold == 300


def test_new_rules_are_written_so_that_they_read_back_the_same(file: Path) -> None:
    table = {
        "all": [{"metric": "a.b", "above": {"warning": 1, "critical": 2.5}}, {"metric": "a.c", "equals": [True, "x"]}],
        "mute": [{"days": ["sat", "sun"], "from": "22:00", "to": "06:00", "zone": "Europe/Berlin"}],
        "message": 'say "{node}"\n',
        "nodes": ["a*"],
    }
    book = RuleBook(file)
    book.put("both.of-them", table)
    assert RuleBook(file).entries["both.of-them"].table == table


def test_a_change_takes_effect_at_once(file: Path) -> None:
    book = RuleBook(file)
    seen = []
    book.on_change = lambda rules: seen.append(sorted(set(dict(rules)) - set(shipped_rules())))
    book.put("attic", {"metric": "a.b", "above": 1})
    book.remove("cellar")
    assert seen == [["attic", "cellar"], ["attic"]]


def test_a_wrong_rule_changes_nothing(file: Path) -> None:
    book = RuleBook(file)
    with pytest.raises(SettingsError, match=r"rules\.attic\.above = 'x': must be a number"):
        book.put("attic", {"metric": "a.b", "above": "x"})
    assert file.read_text() == TEXT


def test_a_file_that_was_broken_by_hand_is_not_written_over(file: Path) -> None:
    book = RuleBook(file)
    file.write_text("[rules.x]\nmetric = 3\n")
    with pytest.raises(SettingsError, match=r"rules\.toml:2: rules\.x\.metric = 3: must be text"):
        book.put("attic", {"metric": "a.b", "above": 1})
    assert "cellar" in book.entries


def test_what_was_edited_by_hand_meanwhile_stays(file: Path) -> None:
    book = RuleBook(file)
    file.write_text(TEXT + '\n[rules.byhand]\nmetric = "a.b"\nabove = 1\n')
    book.put("attic", {"metric": "a.b", "above": 1})
    assert {"byhand", "attic", "cellar"} <= set(book.entries)


def test_a_shipped_rule_cannot_be_removed_but_what_changes_it_can(file: Path) -> None:
    book = RuleBook(file)
    book.remove("cpu-busy")
    assert book.entries["cpu-busy"].source is Source.SHIPPED
    with pytest.raises(RuleShipped):
        book.remove("cpu-busy")
    with pytest.raises(NoSuchRule):
        book.remove("nothing")


def test_all_rules_at_once_leave_out_what_is_as_shipped(file: Path) -> None:
    book = RuleBook(file)
    tables = {name: dict(entry.table) for name, entry in book.entries.items() if name != "cellar"}
    tables["attic"] = {"metric": "a.b", "above": 1}
    book.replace_all(tables)
    assert "cellar" not in book.entries
    text = file.read_text()
    assert "[rules.attic]" in text
    assert "disk-full" not in text
    assert not book.entries["cpu-busy"].rule.enabled


def test_a_key_that_a_stored_rule_no_longer_has_is_gone_from_the_file(file: Path) -> None:
    book = RuleBook(file)
    book.put("cellar", {"metric": "room.humidity", "below": 40})
    assert book.entries["cellar"].table == {"metric": "room.humidity", "below": 40}
    assert "above" not in file.read_text()
