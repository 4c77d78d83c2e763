"""What travels over HTTP about rules. A rule is a table of the rules file as JSON: docs/rules.md says what it holds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hub.api.schemas import Scalar, Time

#: As in the rules file: ``{"metric": "cpu.usage", "above": {"warning": 90}, "for": "5m"}``.
RuleTable = Annotated[
    dict[str, Any],
    Field(examples=[{"metric": "room.temperature", "above": {"warning": 30, "critical": 40}, "for": "5m"}]),
]
RuleSource = Literal["shipped", "file", "changed"]
Severity = Literal["info", "warning", "critical"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RuleView(BaseModel):
    """One rule."""

    name: str
    #: ``shipped`` comes with iothub; ``changed`` does too, and the file changes it.
    source: RuleSource
    enabled: bool
    #: What it asks, in words.
    asks: str
    rule: RuleTable


class RuleTables(_Body):
    """All rules of the file by name."""

    rules: dict[str, RuleTable]


class BacktestRequest(_Body):
    """Which rule to run over which history."""

    #: A rule that there is, or the name that ``rule`` would have.
    name: str = Field(default="test", min_length=1, max_length=64)
    #: Null: the rule of that name.
    rule: RuleTable | None = None
    #: ISO 8601, Unix time in ms, or ``-7d``.
    start: str = Field(default="-7d", max_length=64)
    stop: str = Field(default="now", max_length=64)
    #: Only these nodes (shell glob).
    node: str | None = Field(default=None, min_length=1, max_length=64)


class FiringInterval(BaseModel):
    """One time that it would have been firing."""

    node: str
    #: ``cpu.usage{core=0}``.
    series: str
    start: Time
    #: Null: still, at the end of the range.
    stop: Time | None
    #: The worst.
    severity: Severity
    #: At the start.
    value: Scalar | None
    message: str


class SubjectFired(BaseModel):
    """How often and how long it would have been firing for one series."""

    node: str
    series: str
    fired: int
    firing_s: float


class BacktestAnswer(BaseModel):
    """What a rule would have done."""

    name: str
    start: Time
    stop: Time
    #: Stored samples that were looked at.
    samples: int
    fired: int
    firing_s: float
    #: How often its condition held, but not for long enough.
    cancelled: int
    #: Most often first.
    subjects: list[SubjectFired]
    #: By start; at most 10,000.
    intervals: list[FiringInterval]


class CheckRequest(_Body):
    """Tests of rules, as ``[[tests]]`` of the rules file; without rules those that are in force."""

    rules: dict[str, RuleTable] | None = None
    tests: list[dict[str, Any]] = Field(default_factory=list, max_length=1000)


class CheckedTest(BaseModel):
    """What came of one test."""

    name: str
    rule: str
    passed: bool
    #: What was expected and did not happen, and what happened and was not expected.
    faults: list[str]


class CheckAnswer(BaseModel):
    """What came of all tests; rules that are wrong are a problem document instead."""

    passed: int
    failed: int
    tests: list[CheckedTest]
