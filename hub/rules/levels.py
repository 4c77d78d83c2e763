"""Values per severity: ``above = 80``, ``above = {warning = 80, critical = 95}``, ``outside = [0, 40]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, Field, model_serializer, model_validator

from hub.rules.events import Severity
from hub.rules.part import Finite, Part

if TYPE_CHECKING:
    from collections.abc import Iterator

_V = TypeVar("_V")


class _PerSeverity(Part, Generic[_V]):
    """One value for the rule's own severity (``alone``), or one for each severity that is named."""

    info: _V | None = None
    warning: _V | None = None
    critical: _V | None = None
    #: Not written by people: the value that was given without a severity.
    alone: _V | None = Field(default=None, exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, given: Any) -> Any:
        if isinstance(given, dict):
            if not given:
                raise ValueError("names no severity; allowed are info, warning, critical")
            if "alone" in given:
                raise ValueError("alone is no severity; allowed are info, warning, critical")
            return given
        return given if isinstance(given, BaseModel) else {"alone": given}

    @model_serializer(mode="plain")
    def _as_written(self) -> Any:
        return self.alone if self.alone is not None else {severity.value: v for severity, v in self.of(Severity.INFO)}

    def of(self, severity: Severity) -> Iterator[tuple[Severity, _V]]:
        """Each severity with its value, least first; ``severity`` is that of a value without one."""
        if self.alone is not None:
            yield severity, self.alone
            return
        for each in Severity:
            value: _V | None = getattr(self, each.value)
            if value is not None:
                yield each, value


class Levels(_PerSeverity[Finite]):
    """Thresholds."""


class Ranges(_PerSeverity[tuple[Finite, Finite]]):
    """Ranges that are all right: lowest and highest."""
