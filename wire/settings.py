"""Settings shared by every process, and the loader that all of them use.

``load(Model, path)`` reads a TOML file, lays ``IOTHUB_SECTION__KEY`` over it, validates, and on error names file, line,
key, value and what is allowed. Nothing here opens a socket or a database.

    settings_layers   file, variables, command line ─▶ one tree, and where each value was written
    settings_file     the line of each key in TOML text
    settings_problems what is wrong, in words
"""

from __future__ import annotations

import logging
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from wire.errors import Problem, SettingsError, TopicError
from wire.settings_layers import COMMAND_LINE, DEFAULT_FILE, Layers, environment, unknown
from wire.settings_problems import booleans_as_numbers, explain, holds_secret
from wire.topics import DEFAULT_ROOT, check_filter, check_node_id, check_root

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

M = TypeVar("M", bound=BaseModel)

#: Every top-level name of ``iothub.toml``: each process validates its own and lets the others' pass.
SECTIONS: Final = frozenset(
    (  # noqa: SIM905  one a word
        "state hub mqtt broker ingest limits store spool nodes rejects rules alerts stats commands api log notify "
        "sources agent dashboard"
    ).split()
)

Secret = SecretStr

_log: Final = logging.getLogger(__name__)

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w|y)")
_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}


def parse_duration(text: object) -> float:
    """Seconds from ``30s``, ``5m``, ``1h30m``, ``7d`` or a plain number of seconds.

    Raises:
        ValueError: anything else; the message says what is allowed.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text)
    if isinstance(text, str):
        compact = text.strip()
        parts = _DURATION.findall(compact)
        if parts and _DURATION.sub("", compact).strip() == "":
            return sum(float(number) * _UNIT_S[unit] for number, unit in parts)
    raise ValueError("a duration is a number of seconds or text such as 500ms, 30s, 5m, 1h30m, 7d")


#: Seconds; written as ``30s``, ``5m``, ``1h30m`` in files. At most 100 years, so that it fits a 64-bit number of ns.
Duration = Annotated[float, BeforeValidator(parse_duration), Field(ge=0, le=3_153_600_000, allow_inf_nan=False)]


def _plainly(check: Callable[[str], str]) -> Callable[[str], str]:
    """``check`` with its TopicError as the ValueError that pydantic collects."""

    def checked(text: str) -> str:
        try:
            return check(text)
        except TopicError as error:
            raise ValueError(error.detail) from error

    return checked


def _check_host(host: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._:%-]+", host) is None:
        raise ValueError("must be a host name or address alone: no scheme, path, spaces or port")
    return host


#: ``[A-Za-z0-9._-]{1,64}``
NodeId = Annotated[str, AfterValidator(_plainly(check_node_id))]
#: MQTT topic filter, ``+`` and ``#`` in their places.
TopicFilter = Annotated[str, AfterValidator(_plainly(check_filter))]
#: Host name, IPv4 or IPv6 address.
Host = Annotated[str, AfterValidator(_check_host)]


class MqttSettings(BaseModel):
    """``[mqtt]``: the broker that hub, agent and gateways connect to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: Host = "127.0.0.1"
    #: 0 = choose a free one (managed broker only).
    port: int = Field(default=1883, ge=0, le=65_535)
    root: Annotated[str, AfterValidator(_plainly(check_root))] = DEFAULT_ROOT
    username: str | None = None
    password: SecretStr | None = None
    #: File whose only line is the password; wins over ``password``.
    password_file: Path | None = None
    client_id: str | None = None
    keep_alive_s: int = Field(default=15, ge=5, le=65_535)
    tls: bool = False
    #: PEM file of the authorities to trust; the system's when empty.
    ca_file: Path | None = None
    #: PEM files of a client certificate and its key, for a broker that asks for one.
    cert_file: Path | None = None
    key_file: Path | None = None


def load(
    model: type[M],
    path: Path | None,
    *,
    environ: Mapping[str, str] | None = None,
    prefix: str = "IOTHUB_",
    only: Collection[str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> M:
    """Read, merge and validate settings; later layers win: file, environment, command line.

    Args:
        model: what the settings must be; its fields are the sections.
        path: TOML file, which must exist; None for ``iothub.toml`` in the current directory where there is one.
        environ: environment variables; those of the process when None.
        prefix: of the variables that are settings.
        only: the sections to validate; others of :data:`SECTIONS` are passed over.
        overrides: dotted keys from the command line, such as ``{"mqtt.port": 1883}``; None values are passed over.

    Raises:
        SettingsError: with every problem found. Secrets are never in it.
    """
    layers = Layers()
    file = layers.lay_file(path)
    problems: list[Problem] = []
    for said in environment(model, os.environ if environ is None else environ, prefix=prefix, sections=SECTIONS):
        if isinstance(said, Problem):
            problems.append(said)
        else:
            name, values = said
            layers.lay(values, name)
    for key, value in (overrides or {}).items():
        if value is not None:
            layers.lay(_nested(key, value), COMMAND_LINE)
    if only is not None:
        problems += _strangers(layers, set(only))
        layers.values = {name: value for name, value in layers.values.items() if name in only}
    try:
        settings = model.model_validate(layers.values)
    except ValidationError as error:
        problems += explain(model, error, layers)
        raise SettingsError(_sorted(problems)) from error
    problems += booleans_as_numbers(model, layers)
    if problems:
        raise SettingsError(_sorted(problems))
    if file is not None and holds_secret(model, layers):
        _warn_when_open(file)
    return settings


def _nested(key: str, value: object) -> dict[str, Any]:
    first, _, rest = key.partition(".")
    return {first: _nested(rest, value) if rest else value}


def _strangers(layers: Layers, only: set[str]) -> list[Problem]:
    """Top-level names that are no section of any process."""
    names = [name for name in layers.values if name not in only | SECTIONS]
    origins = [(name, layers.origin((name,))) for name in names]
    return [Problem(o.file, o.line, name, None, unknown(name, only | SECTIONS)) for name, o in origins if o is not None]


def _sorted(problems: list[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda p: (str(p.file), p.line or 0, p.key))


def _warn_when_open(file: Path) -> None:
    if file.stat().st_mode & stat.S_IROTH:
        _log.warning("%s holds a password and every user of this machine can read it; run: chmod o-r %s", file, file)


__all__ = [
    "DEFAULT_FILE",
    "SECTIONS",
    "Duration",
    "Host",
    "MqttSettings",
    "NodeId",
    "Secret",
    "TopicFilter",
    "load",
    "parse_duration",
]
