"""The password that belongs to ``[mqtt]``; read at each connection, so that one that was changed is taken up."""

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
