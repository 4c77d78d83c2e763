"""The section ``[store.influx]`` as an :class:`InfluxStore`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from hub.paths import read_secret
from hub.store.base import StoreBroken
from hub.store.influx import InfluxStore
from hub.store.influx_due import DueHours
from hub.store.influx_http import Access
from hub.store.influx_server import Generation
from hub.store.influx_target import Target

if TYPE_CHECKING:
    from pathlib import Path

    from hub.config import InfluxSettings, Secret
    from hub.store.partition import Keep

_THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def influx_store(settings: InfluxSettings, retention: Keep, due_file: Path | None = None) -> InfluxStore:
    """The store that the settings describe, not open yet.

    ``due_file``: keeps which roll-ups are to be made; None where somebody else does.

    Raises:
        StoreBroken: a file of a secret cannot be read.
    """
    target = target_of(settings)
    return InfluxStore(target, retention=retention, due=DueHours(due_file, target.name))


def target_of(settings: InfluxSettings) -> Target:
    """Where and how to write.

    Raises:
        StoreBroken: a file of a secret cannot be read.
    """
    url = settings.url.rstrip("/")
    is_here = urlsplit(url).hostname in _THIS_MACHINE
    access = Access(
        url,
        token=_secret("token", settings.token, settings.token_file),
        username=settings.username or "",
        password=_secret("password", settings.password, settings.password_file),
        timeout_s=settings.timeout,
        gzip=not is_here if settings.gzip is None else settings.gzip,
        ca_file=settings.ca_file,
    )
    generation = None if settings.generation == "auto" else Generation(settings.generation)
    return Target(access, settings.database, settings.org, settings.retention_policy, generation)


def _secret(name: str, given: Secret | None, file: Path | None) -> str:
    if file is None:
        return given.get_secret_value() if given is not None else ""
    try:
        return read_secret(file)
    except (OSError, UnicodeDecodeError) as error:
        raise StoreBroken(f"store.influx.{name}_file = '{file}' cannot be read: {error}") from error
