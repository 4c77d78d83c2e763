"""Settings of commands: ``[commands]``. Opens nothing."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from wire.settings import Duration


class CommandSettings(BaseModel):
    """``[commands]``: how long they wait, and what is kept of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: A command that names no other time is not begun after it.
    expires: Annotated[Duration, Field(gt=0)] = 300.0
    #: Output that is kept of one command, and of all; the digest covers what is not kept, too.
    output_bytes: int = Field(default=1 << 20, ge=1 << 10)
    output_total_bytes: int = Field(default=256 << 20, ge=1 << 20)
    #: Commands that ended so long ago go; the journal keeps what happened.
    keep: Annotated[Duration, Field(gt=0)] = 90 * 86_400.0
