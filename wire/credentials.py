"""The files that ``[mqtt]`` names; read at each connection, so that one that was changed is taken up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wire.errors import SessionDown

if TYPE_CHECKING:
    from pathlib import Path

    from wire.settings import MqttSettings


def read_password(settings: MqttSettings) -> str | None:
    """The line in ``password_file``, else ``password``, else None.

    Raises:
        SessionDown: the file cannot be read; it may be there at the next attempt.
    """
    if settings.password_file is not None:
        try:
            return settings.password_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SessionDown(f"cannot read mqtt.password_file {settings.password_file}: {error}") from error
    return settings.password.get_secret_value() if settings.password is not None else None


def tls_files(settings: MqttSettings) -> tuple[str | None, str | None, str | None]:
    """Paths of the authorities to trust (None: the system's), of our certificate and of its key (None: we have none).

    Raises:
        SessionDown: one of them cannot be read; the driver would not say which.
    """
    return (
        _readable("ca_file", settings.ca_file),
        _readable("cert_file", settings.cert_file),
        _readable("key_file", settings.key_file),
    )


def _readable(key: str, path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        path.open("rb").close()
    except OSError as error:
        raise SessionDown(f"cannot read mqtt.{key} {path}: {error}") from error
    return str(path)
