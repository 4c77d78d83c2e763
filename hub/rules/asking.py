"""What one condition asks of a metric; in a rule of one condition these are keys of the rule itself."""

from __future__ import annotations

import enum
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from hub.rules.levels import Levels, Ranges
from hub.rules.metric import parse_metric
from hub.rules.part import Comparable, Part, Positive
from wire.settings import parse_duration

#: What a condition can ask; each condition asks exactly one.
ASKS: Final = ("above", "below", "outside", "equals", "differs", "changed", "absent")
#: Asks that compare numbers.
NUMERIC: Final = ("above", "below", "outside")


class Fn(enum.StrEnum):
    """What is made of the samples of a window."""

    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    COUNT = "count"
    #: Of a sample (n - 1).
    STDDEV = "stddev"
    LAST = "last"
    #: Newest minus oldest.
    DELTA = "delta"
    #: Newest minus oldest, by the seconds between them.
    RATE = "rate"
    #: Of the line of least squares, units a second.
    SLOPE = "slope"
    #: Where that line is ``ahead`` of the newest sample.
    PREDICT = "predict"


class WindowSpec(Part):
    """``window``: compare what the samples of the last while come to, not each sample."""

    fn: Fn
    over: Positive
    #: How far beyond the newest sample; for ``predict`` only.
    ahead: Positive | None = None
    #: Fewer samples come to nothing; None for what the function needs (1 or 2).
    least: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _ahead_to_predict(self) -> WindowSpec:
        if (self.fn is Fn.PREDICT) != (self.ahead is not None):
            raise ValueError('ahead goes with fn = "predict", and predict needs it')
        return self


def _metric(text: str) -> str:
    parse_metric(text)
    return text


#: ``measurement.field``
MetricText = Annotated[str, AfterValidator(_metric)]


def _absent(given: object) -> object:
    """Seconds, or ``auto``: see :mod:`hub.rules.cadence`."""
    if given == "auto":
        return given
    try:
        return parse_duration(given)
    except ValueError as error:
        raise ValueError(f'{error}, or "auto"') from error


Absent = Annotated[Literal["auto"] | Positive, BeforeValidator(_absent)]


def _clear(given: object) -> object:
    """By its shape: numbers for ``above`` and ``below``, ranges for ``outside``."""
    sample = next(iter(given.values()), None) if isinstance(given, dict) else given
    return Ranges.model_validate(given) if isinstance(sample, list | tuple) else Levels.model_validate(given)


class Asking(Part):
    """What is asked of a metric; in a rule of one condition these are keys of the rule itself."""

    #: Tag → glob; an empty text means that the series has no such tag.
    tags: dict[str, str] = Field(default_factory=dict)
    above: Levels | None = None
    below: Levels | None = None
    outside: Ranges | None = None
    equals: Comparable | None = None
    differs: Comparable | None = None
    changed: Literal[True] | None = None
    absent: Absent | None = None
    #: Where ``above``, ``below`` and ``outside`` let go: of the least severity; the others keep the same distance.
    clear: Annotated[Levels | Ranges | None, BeforeValidator(_clear)] = None
    window: WindowSpec | None = None

    @property
    def asks(self) -> tuple[str, ...]:
        """Which of :data:`ASKS` it asks; valid conditions ask exactly one."""
        return tuple(name for name in ASKS if getattr(self, name) is not None)

    @property
    def ask(self) -> str:
        """The one that it asks."""
        return self.asks[0]
