"""``[rules]``: where rules are kept, and what the engine saves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from wire.settings import Duration


class RuleSettings(BaseModel):
    """``[rules]``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: None: ``rules.toml`` in the state directory.
    file: Path | None = None
    #: The rules that come with iothub; those of the file come on top.
    shipped: bool = True
    #: How often the engine's state is written, so that a crash loses no more of it.
    save_every: Annotated[Duration, Field(gt=0)] = 10.0
