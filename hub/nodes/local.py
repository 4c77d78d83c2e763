"""First start: an administrator with a generated password, and a token for the CLI on this machine."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Final

from hub.nodes.callers import Role, Scope
from hub.paths import read_secret, write_secret

if TYPE_CHECKING:
    from hub.nodes.registry import Registry
    from hub.nodes.users import Users
    from hub.paths import StatePaths

ADMIN: Final = "admin"
#: Holds the token of the CLI; has no password, so that nobody can log in as it.
LOCAL: Final = "local"
#: No letters that are mistaken for digits.
_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"


async def ensure_local_access(registry: Registry, paths: StatePaths) -> str | None:
    """Make sure that the administrator and the CLI's token file (mode 0600) are there.

    Returns:
        The administrator's password when it was made by this call, to be shown once; else None.

    Raises:
        RegistryError: the database failed.
        OSError: the token file cannot be written.
    """
    users, now_ns = registry.users, time.time_ns()
    password = None
    if await users.count() == 0:
        password = "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(4))
        await users.add(ADMIN, password, Role.ADMIN, now_ns)
    await users.add(LOCAL, None, Role.ADMIN, now_ns)
    if not await _is_valid(users, paths, now_ns):
        token = await users.issue(LOCAL, Scope.FULL, now_ns, None)
        write_secret(paths.cli_token, token)
    return password


def dashboard_secret(paths: StatePaths) -> str:
    """The secret by which the hub knows the dashboard of this machine; its file (mode 0600) is made when missing.

    Raises:
        OSError: it cannot be written.
    """
    try:
        secret = read_secret(paths.dashboard_token)
        paths.dashboard_token.chmod(0o600)
    except (FileNotFoundError, UnicodeDecodeError):
        secret = ""
    if not secret:
        secret = secrets.token_urlsafe(32)
        write_secret(paths.dashboard_token, secret)
    return secret


async def _is_valid(users: Users, paths: StatePaths, now_ns: int) -> bool:
    try:
        token = read_secret(paths.cli_token)
        paths.cli_token.chmod(0o600)
    except (FileNotFoundError, UnicodeDecodeError):
        return False
    return await users.holder(token, now_ns) is not None
