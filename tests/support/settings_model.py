"""A small tree of settings with every kind of value that ours have, and what a person reads when it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, ConfigDict

from wire.errors import SettingsError
from wire.settings import Duration, MqttSettings, TopicFilter, load

if TYPE_CHECKING:
    from collections.abc import Mapping


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(Part):
    filter: TopicFilter
    count: int = 1


class Store(Part):
    keep: Duration = 60.0
    url: str = ""
    ratio: float = 0.5


class Model(Part):
    """The root."""

    state: Path = Path("var")
    mqtt: MqttSettings = MqttSettings()
    store: Store = Store()
    sources: tuple[Source, ...] = ()
    agent: dict[str, Any] = {}


def write(folder: Path, text: str) -> Path:
    file = folder / "iothub.toml"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    return file


def problems(path: Path | None, environ: Mapping[str, str] | None = None, **kwargs: Any) -> list[str]:
    """The lines that a person reads."""
    with pytest.raises(SettingsError) as caught:
        load(Model, path, environ=environ or {}, **kwargs)
    return str(caught.value).replace(f"{path}:", "F:").splitlines()
