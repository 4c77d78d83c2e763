"""Wrong rules: each fault is named with file, line and key, and what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.rules.files import read_rules, shipped_rules
from wire.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = 'metric = "a.b"\nabove = 3'


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("above = 3", "2: rules.r: needs exactly one of metric, all, any; has none"),
        ('metric = "a.b"', "2: rules.r: needs exactly one of above, below"),
        ('metric = "a"\nabove = 3', "3: rules.r.metric = 'a': must be measurement.field"),
        ('metric = "a.b"\nabove = "3"', "4: rules.r.above = '3': must be a number"),
        ('metric = "a.b"\nabove = true', "4: rules.r.above = true: must be a number"),
        ('metric = "a.b"\nabove = inf', "4: rules.r.above = inf: must be a finite number"),
        ('metric = "a.b"\nabove = {warn = 3}', "4: rules.r.above.warn: unknown key; did you mean warning?"),
        (
            'metric = "a.b"\nabove = {warning = 3, critical = 2}',
            "critical is 2: it must lie beyond what is less severe",
        ),
        (
            'metric = "a.b"\nbelow = {warning = 3, critical = 4}',
            "critical is 4: it must lie beyond what is less severe",
        ),
        (GOOD + "\nclear = 4", "clear of warning is 4: it must not lie above its threshold, 3"),
        (GOOD + "\nclear = [1, 2]", "clear must be a number, as above is"),
        ('metric = "a.b"\nequals = 1\nclear = 2', "clear goes with above, below, outside, not with equals"),
        ('metric = "a.b"\noutside = [3, 1]', "[3, 1]: the first must be the lowest"),
        ('metric = "a.b"\noutside = [1, 3]\nclear = [0, 3]', "clear of warning is [0, 3]: it must lie in [1, 3]"),
        (GOOD + '\nfor = "soon"', "5: rules.r.for = 'soon': a duration is"),
        (GOOD + "\nclaer = 3", "5: rules.r.claer: unknown key; did you mean clear?"),
        (GOOD + '\nwindow = {fn = "avg", over = "5m"}', "5: rules.r.window.fn = 'avg': must be 'mean'"),
        (GOOD + '\nwindow = {fn = "mean", over = 0}', "5: rules.r.window.over = 0: must be more than 0"),
        (GOOD + '\nwindow = {fn = "predict", over = "5m"}', 'ahead goes with fn = "predict", and predict needs it'),
        (GOOD + '\nmessage = "{nod}"', "5: rules.r.message = '{nod}': unknown blank {nod}; did you mean {node}?"),
        (GOOD + '\nmessage = "{node"', "braces do not match"),
        (GOOD + '\nmessage = "{value:q}"', "'q' formats no number"),
        (GOOD + '\nseverity = "fatal"', "5: rules.r.severity = 'fatal': must be 'info', 'warning' or 'critical'"),
        (GOOD + '\nmute = [{days = "someday"}]', "5: rules.r.mute[0].days"),
        (GOOD + '\nmute = [{zone = "Mars"}]', "5: rules.r.mute[0].zone = 'Mars': must be a time zone"),
        ('metric = "a.b"\nabsent = "never"', "4: rules.r.absent = 'never': a duration is"),
        ('metric = "a.b"\nabsent = "never"', '1h30m, 7d, or "auto"'),
        ('metric = "a.b"\nabsent = "0s"', "4: rules.r.absent"),
        ('metric = "a.b"\nchanged = false', "4: rules.r.changed = false: must be true"),
        ('metric = "a.b"\noutside = [1, 2, 3]', "4: rules.r.outside: must have at most 2 elements"),
        ("any = []", "3: rules.r.any: must have at least 1 element"),
        ('all = [{metric = "a.*", above = 3}]', "in all and any a metric is one measurement.field"),
        ('all = [{metric = "a.b", above = 3}]\nabove = 3', "above belongs into the conditions of all"),
        ('all = [{metric = "a.b", above = 3}]\nany = [{metric = "a.b", above = 3}]', "has all and any"),
    ],
)
def test_a_wrong_rule_is_named_with_its_place(tmp_path: Path, table: str, complaint: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(f"# rules\n[rules.r]\n{table}\n")
    with pytest.raises(SettingsError) as caught:
        read_rules(path)
    assert f"{path}:" in str(caught.value)
    assert complaint in str(caught.value)


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('[rules.a]\nmetric = "a"\n[rules.b]\nmetric = 3\n[rule.c]\n')
    with pytest.raises(SettingsError) as caught:
        read_rules(path)
    assert [problem.line for problem in caught.value.problems] == [2, 4, 5]


def test_a_list_whose_only_element_is_wrong_is_not_called_empty(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('[rules.a]\nany = [{ metric = "a", above = 3 }]\n')
    with pytest.raises(SettingsError) as caught:
        read_rules(path)
    assert [problem.key for problem in caught.value.problems] == ["rules.a.any[0].metric"]


@pytest.mark.parametrize("name", ["a b", ".hidden", "a/b", "x" * 65])
def test_a_name_that_fits_no_topic_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(f'[rules."{name}"]\n{GOOD}\n')
    with pytest.raises(SettingsError, match="a rule's name is 1 to 64"):
        read_rules(path)


def test_the_shipped_rules_are_sound_and_on_but_for_one() -> None:
    entries = shipped_rules()
    assert {"cpu-busy", "memory-full", "disk-full", "disk-filling", "too-hot"} <= set(entries)
    assert {"node-silent", "clock-off", "hub-not-storing"} <= set(entries)
    assert [name for name, entry in entries.items() if not entry.rule.enabled] == ["host-quiet"]
    assert all(entry.rule.description for entry in entries.values())
