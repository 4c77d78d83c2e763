"""Settings of alerts: ``[alerts]`` and ``[[stats]]``."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from hub.rules.metric import parse_metric
from wire.settings import Duration


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_Positive = Annotated[Duration, Field(gt=0)]


def _metric(text: str) -> str:
    parse_metric(text)
    return text


class AlertSettings(_Section):
    """``[alerts]``: how alerts behave."""

    #: An alert that fires or changes its severity so often …
    flap_changes: int = Field(default=5, ge=2, le=100)
    #: … within this is held open …
    flap_window: _Positive = 600.0
    #: … until its condition has been clear for this long.
    flap_quiet: _Positive = 300.0
    #: How long alerts that are over are kept.
    keep: _Positive = 365 * 86_400.0


class StatsSettings(_Section):
    """``[[stats]]``: window statistics that are published on ``stats`` topics."""

    #: Glob of node ids.
    nodes: str = "*"
    #: ``measurement.field``, with globs.
    metric: Annotated[str, AfterValidator(_metric)]
    window: _Positive = 60.0
