"""What all tables of a rule share: strictness, and the types of their values."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool

from wire.settings import Duration


class Part(BaseModel):
    """Base of all tables: unknown keys are refused, nothing changes later, names in the file are the aliases."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True)


def _listed(value: object) -> object:
    return [value] if isinstance(value, str | bool | int | float) else value


#: Seconds, more than none; written as ``30s``, ``5m``.
Positive = Annotated[Duration, Field(gt=0)]
Finite = Annotated[float, Field(allow_inf_nan=False, strict=True)]
#: Shell globs, one alone or a list; at least one has to match.
Globs = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_listed)]
Names = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=64)], ...], BeforeValidator(_listed)]
#: What a value is compared with, one alone or a list. Booleans stay booleans, numbers become floats.
Comparable = Annotated[tuple[StrictBool | Finite | str, ...], BeforeValidator(_listed), Field(min_length=1)]
