"""The files that ``[mqtt]`` names; read at each connection, so that one that was changed is taken up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wire.errors import SessionDown

if TYPE_CHECKING:
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


def authorities(settings: MqttSettings) -> str | None:
    """Path of the authorities to trust; None for the system's.

    Raises:
        SessionDown: the file cannot be read; the driver would not say which.
    """
    if settings.ca_file is None:
        return None
    try:
        settings.ca_file.open("rb").close()
    except OSError as error:
        raise SessionDown(f"cannot read mqtt.ca_file {settings.ca_file}: {error}") from error
    return str(settings.ca_file)
