"""What a rule is: one typed model for the TOML file and for HTTP. Pure data; :mod:`hub.rules.files` reads it.

    [rules.room-hot]
    metric  = "room.temperature"                # measurement.field, globs in both
    nodes   = ["boiler-*"]
    above   = { warning = 30, critical = 40 }
    clear   = 28
    for     = "5m"
    message = "{node}: {value:.1f} °C in the room"

Attributes whose names in the file belong to Python (``for``, ``all``, ``any``, ``from``) have an alias.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator, Field, model_validator

from hub.rules.asking import ASKS, NUMERIC, Asking, MetricText
from hub.rules.conditions import judge_of
from hub.rules.events import Severity
from hub.rules.levels import Ranges
from hub.rules.metric import is_glob, parse_metric
from hub.rules.mute import Mute
from hub.rules.part import Globs, Names
from hub.rules.template import check_template
from wire.settings import Duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: A rule's name is one topic level (``alert/{rule}``) that needs no quoting in TOML, URLs and shells.
RULE_NAME: Final = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}"


class Condition(Asking):
    """One question about one metric, among several of a rule."""

    metric: MetricText
    #: None: the rule's.
    severity: Severity | None = None

    @model_validator(mode="after")
    def _sound(self) -> Condition:
        check_asking(self, self.severity or Severity.WARNING)
        if any(is_glob(part) for part in parse_metric(self.metric)):
            raise ValueError("in all and any a metric is one measurement.field, without * ? [")
        return self


class Rule(Asking):
    """One rule: a condition of its own, or several joined by ``all`` or ``any``."""

    description: str = ""
    enabled: bool = True
    metric: MetricText | None = None
    nodes: Globs = ("*",)
    #: Of the node; none: whatever groups it has.
    groups: Globs = ()
    #: Of what has no severity of its own.
    severity: Severity = Severity.WARNING
    hold: Duration = Field(default=0.0, alias="for")
    clear_for: Duration = 0.0
    message: Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(check_template)] | None = None
    #: Receivers; none: as the settings of notifications say.
    notify: Names = ()
    mute: tuple[Mute, ...] = ()
    all_of: Annotated[tuple[Condition, ...], Field(min_length=1, max_length=16)] | None = Field(None, alias="all")
    any_of: Annotated[tuple[Condition, ...], Field(min_length=1, max_length=16)] | None = Field(None, alias="any")

    @model_validator(mode="after")
    def _sound(self) -> Rule:
        ways = [name for name in ("metric", "all", "any") if self._given(name)]
        if len(ways) != 1:
            raise ValueError(f"needs exactly one of metric, all, any; has {' and '.join(ways) or 'none'}")
        if ways == ["metric"]:
            check_asking(self, self.severity)
        elif stray := [*self.asks, *(name for name in ("clear", "window", "tags") if getattr(self, name))]:
            raise ValueError(f"{stray[0]} belongs into the conditions of {ways[0]}")
        return self

    def _given(self, name: str) -> bool:
        return getattr(self, name if name == "metric" else f"{name}_of") is not None

    @property
    def conditions(self) -> tuple[Condition | Rule, ...]:
        """Its conditions; a rule of one condition is its own."""
        return self.all_of or self.any_of or (self,)

    def muted(self, now_ns: int) -> bool:
        """Whether it notifies nobody at this moment. The engine does not ask; notifications do."""
        return any(mute.covers(now_ns) for mute in self.mute)


@dataclass(frozen=True)
class RuleSet:
    """All rules by name."""

    rules: Mapping[str, Rule] = field(default_factory=dict)

    def __iter__(self) -> Iterator[tuple[str, Rule]]:
        return iter(self.rules.items())

    def get(self, name: str) -> Rule | None:
        """The rule of that name; None where there is none."""
        return self.rules.get(name)


def check_asking(asking: Asking, severity: Severity) -> None:
    """Refuse questions that cannot be answered.

    Raises:
        ValueError: says which key, and what is allowed.
    """
    asks = asking.asks
    if len(asks) != 1:
        raise ValueError(f"needs exactly one of {', '.join(ASKS)}; has {' and '.join(asks) or 'none'}")
    (ask,) = asks
    if asking.clear is not None:
        if ask not in NUMERIC:
            raise ValueError(f"clear goes with {', '.join(NUMERIC)}, not with {ask}")
        if isinstance(asking.clear, Ranges) != (ask == "outside"):
            shape = "a range [low, high]" if ask == "outside" else "a number"
            raise ValueError(f"clear must be {shape}, as {ask} is")
    try:
        judge_of(asking, severity)
    except ValueError as error:
        raise ValueError(f"{ask}: {error}") from error
    if asking.window is not None and ask not in (*NUMERIC, "equals", "differs"):
        raise ValueError(f"window goes with {', '.join(NUMERIC)}, not with {ask}")
