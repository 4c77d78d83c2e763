from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from hub.config import Settings, default_hub_id
from wire.errors import SettingsError
from wire.settings import SECTIONS, load
from wire.topics import check_node_id

if TYPE_CHECKING:
    from pathlib import Path


def test_every_section_of_the_hub_is_known_to_the_loader() -> None:
    assert set(Settings.model_fields) <= SECTIONS


def test_the_defaults_are_valid_by_their_own_rules() -> None:
    assert Settings.model_validate(Settings().model_dump()) == Settings()


def test_the_default_hub_id_fits_the_grammar_of_ids() -> None:
    assert check_node_id(default_hub_id())


def test_unknown_keys_are_refused_in_every_section() -> None:
    def sections(model: type[BaseModel]) -> list[type[BaseModel]]:
        below = [f.annotation for f in model.model_fields.values()]
        found = [b for b in below if isinstance(b, type) and issubclass(b, BaseModel)]
        return [model, *found, *(inner for one in found for inner in sections(one)[1:])]

    assert {m.__name__: m.model_config.get("extra") for m in sections(Settings)} == {
        m.__name__: "forbid" for m in sections(Settings)
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[broker]\nmode = "manged"', "must be 'managed' or 'external'; did you mean 'managed'?"),
        ('[store]\nkind = "duckdb"', "must be 'duck', 'influx' or 'memory'; did you mean 'duck'?"),
        ('[log]\nlevel = "INFO"', "must be 'debug', 'info', 'warning' or 'error'; did you mean 'info'?"),
        ("[api]\nport = 65536", "must be at least 0 and at most 65535"),
        ("[ingest]\nreceive_max = 0", "must be at least 1 and at most 65535"),
        ('[store.retention]\nraw = "0s"', "must be more than 0 and at most 3153600000"),
        ("[limits]\ndepth = 65", "must be at least 1 and at most 64"),
        ('[hub]\nid = "my hub"', "is not 1 to 64 of A-Z a-z 0-9 . _ -"),
        ('[[sources]]\nfilter = "a/#/b"\nformat = "json"\nnode = "n"', "is no topic filter"),
        ('[[sources]]\nfilter = "a"\nformat = "json"\nnode = ""', "must not be empty"),
        ('[[sources]]\nfilter = "a"\nformat = "jsn"\nnode = "n"', "must be one of influx, "),
    ],
)
def test_a_bad_value_is_told_what_is_allowed(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "iothub.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load(Settings, file, environ={})
    assert len(caught.value.problems) == 1
    assert problem in str(caught.value)
