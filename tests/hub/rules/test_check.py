"""Users' tests of their rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.rules.check import read_all, read_tests, run_test
from hub.rules.files import read_rules
from wire.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

RULES = """
[rules.room-hot]
metric = "room.temperature"
above = { warning = 30, critical = 40 }
for = "2m"
message = "{node} has {value:.0f}"
"""


def faults(tmp_path: Path, test: str) -> tuple[str, ...]:
    path = tmp_path / "rules.toml"
    path.write_text(RULES + "\n[[tests]]\n" + test)
    (one,) = read_tests(path)
    return run_test(one, read_rules(path)).faults


def test_a_test_whose_events_happen_passes(tmp_path: Path) -> None:
    assert not faults(
        tmp_path,
        """
name = "hot"
rule = "room-hot"
series = [{ metric = "room.temperature", every = "1m", values = "20 31x3 45 20" }]
expect = [
  { at = "3m", kind = "firing", severity = "warning", message = "node-1 has 31" },
  { at = "4m", kind = "severity", severity = "critical" },
  { at = "5m", kind = "resolved" },
]
""",
    )


def test_what_is_missing_and_what_is_too_much_is_told(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        """
name = "wrong"
rule = "room-hot"
series = [{ metric = "room.temperature", every = "1m", values = "31x4" }]
expect = [{ at = "1m", kind = "firing" }]
""",
    )
    assert found == (
        "did not happen: firing at any severity at 1m",
        "not expected: firing warning at 2m on node-1 room.temperature: node-1 has 31",
    )


def test_pending_is_compared_where_a_test_names_it(tmp_path: Path) -> None:
    assert not faults(
        tmp_path,
        """
name = "pending"
rule = "room-hot"
series = [{ metric = "room.temperature", every = "1m", values = "20 31 20" }]
expect = [{ at = "1m", kind = "pending" }]
""",
    )


def test_time_goes_on_until_the_end_of_the_test(tmp_path: Path) -> None:
    assert not faults(
        tmp_path,
        """
name = "constant"
rule = "room-hot"
until = "10m"
series = [{ metric = "room.temperature", values = [31.0] }]
expect = [{ at = "2m", kind = "firing" }]
""",
    )


def test_gaps_booleans_and_words_are_values(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_text(
        '[[tests]]\nname="x"\nrule="r"\nexpect=[]\nseries=[{metric="a.b", every="1s", values="1.5 _x2 true off"}]\n'
    )
    (one,) = read_tests(path)
    assert [(p.ts_ns % 10**10 // 10**9, p.fields["b"]) for p in one.series[0].points()] == [
        (0, 1.5),
        (3, True),
        (4, "off"),
    ]


def test_a_wrong_test_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_text(
        '[[tests]]\nname = "x"\nrule = "r"\n'
        'series = [{ metric = "ab", values = "1" }]\nexpect = [{ kind = "fires", at = 0 }]\n'
    )
    with pytest.raises(SettingsError) as caught:
        read_tests(path)
    assert ":4: tests[0].series[0]: must be measurement.field" in str(caught.value)
    assert ":5: tests[0].expect[0].kind = 'fires': must be 'pending'" in str(caught.value)


def test_faults_of_rules_and_of_tests_are_told_together(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('[rules.a]\nmetric = "a"\n[[tests]]\nname = "t"\nrule = "a"\nseries = []\nexpect = []\n')
    with pytest.raises(SettingsError) as caught:
        read_all(path)
    assert [problem.key for problem in caught.value.problems] == ["rules.a.metric", "tests[0].series"]


def test_a_rule_that_is_not_there_fails_the_test(tmp_path: Path) -> None:
    found = faults(tmp_path, 'name="x"\nrule="none"\nexpect=[]\nseries=[{metric="a.b", values="1"}]\n')
    assert found == ("there is no rule none",)


def test_shipped_rules_can_be_tested_with_what_the_hub_says_of_itself(tmp_path: Path) -> None:
    assert not faults(
        tmp_path,
        """
name = "silent"
rule = "node-silent"
until = "1m"
series = [{ metric = "$node.state", every = "5s", values = "online silent" }]
expect = [{ at = "20s", kind = "firing", severity = "critical", message = "node-1 is silent" }]
""",
    )
