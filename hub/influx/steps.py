"""What provisioning says it did, and where it keeps the passwords and tokens it makes."""

from __future__ import annotations

import enum
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from hub.paths import read_secret, write_secret

if TYPE_CHECKING:
    from pathlib import Path

#: 32 characters of a URL: 192 bits.
_SECRET_BYTES: Final = 24


class SetupFailed(Exception):  # noqa: N818  the name says what is the case
    """Provisioning cannot go on; the message says what to do. What was made stays, and is found the next time."""


class Outcome(enum.StrEnum):
    """What became of one thing that provisioning looks after."""

    MADE = "made"
    CHANGED = "changed"
    #: It was as it should be.
    THERE = "there"
    #: It is otherwise than the settings say, and was not touched; the note says why and what to do.
    LEFT = "left"
    #: This server, or this program, cannot do it; the note says what that means.
    NOT_DONE = "not done"
    #: A person has to do something before the hub can work.
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the report."""

    outcome: Outcome
    what: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """A user of 1.x and the file of its password, or the file of a token."""

    name: str
    file: Path
    #: The secret itself, where the settings hold it and no file does.
    given: str = field(default="", repr=False)
    #: What the file holds, in words.
    kind: str = "password"

    @property
    def where(self) -> str:
        """Where the secret is, in words."""
        return f"{self.kind} in the settings" if self.given else f"{self.kind} in {self.file}"

    def secret(self) -> str:
        """What the file holds; empty when there is none.

        Raises:
            SetupFailed: it cannot be read.
        """
        if self.given:
            return self.given
        try:
            return read_secret(self.file)
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise SetupFailed(f"{self.file} cannot be read: {error}") from error

    def keep(self, secret: str) -> None:
        """Write the file, mode 0600.

        Raises:
            SetupFailed: it cannot be written.
        """
        try:
            write_secret(self.file, secret)
        except OSError as error:
            raise SetupFailed(f"{self.file} cannot be written: {error.strerror}") from error

    def made(self) -> str:
        """What the file holds, made at the first call."""
        if not (secret := self.secret()):
            secret = secrets.token_urlsafe(_SECRET_BYTES)
            self.keep(secret)
        return secret


@dataclass(frozen=True, slots=True)
class Accounts:
    """Everybody that provisioning makes, or acts as."""

    #: Acts for the rest; made where the server was never set up.
    admin: Account
    #: Reads and writes the database.
    hub: Account
    #: Reads it.
    grafana: Account
