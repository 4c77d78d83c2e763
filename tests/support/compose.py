"""``compose.yaml`` as docker compose would take it: variables put in, merge keys resolved, env files read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from tests.support.sources import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]
FILE = ROOT / "compose.yaml"
PROFILES = ("influx1", "influx2", "influx3", "victoria")

#: ``${NAME}``, ``${NAME:-default}``, ``${NAME:?complaint}``; ``$$`` is a dollar.
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}|(\$\$)")


def compose(variables: Mapping[str, str]) -> Json:
    """The whole model, all profiles.

    Raises:
        KeyError: a variable that must be set is not.
    """
    found: Json = yaml.safe_load(interpolated(FILE.read_text(encoding="utf-8"), variables))
    return found


def interpolated(text: str, variables: Mapping[str, str]) -> str:
    """``text`` with its variables put in."""

    def value(found: re.Match[str]) -> str:
        name, kind, rest, dollar = found.groups()
        if dollar:
            return "$"
        if kind == "-":
            return variables.get(name) or str(rest)
        return variables[name]

    return _VARIABLE.sub(value, text)


def services(variables: Mapping[str, str]) -> dict[str, Json]:
    """The services that run with the profiles of ``COMPOSE_PROFILES``."""
    active = set(variables["COMPOSE_PROFILES"].split(","))
    every: dict[str, Json] = compose(variables)["services"]
    return {name: service for name, service in every.items() if set(service.get("profiles", active)) & active}


def environment(service: Json) -> dict[str, str]:
    """Variables of a service: those of its env files, then its own, which win."""
    found: dict[str, str] = {}
    for file in service.get("env_file", []):
        found |= variables_of((ROOT / file).read_text(encoding="utf-8"))
    return found | {name: str(value) for name, value in service.get("environment", {}).items()}


def variables_of(text: str) -> dict[str, str]:
    """The variables of an env file; quotes around a value are not part of it."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    pairs = (line.partition("=")[::2] for line in lines)
    return {
        name: value[1:-1] if value[:1] in ("'", '"') and value[-1:] == value[:1] else value for name, value in pairs
    }
