from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

from hub.nodes.callers import Role, Scope
from hub.nodes.local import ADMIN, LOCAL, ensure_local_access
from hub.paths import read_secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    import pytest

    from hub.nodes.registry import Registry
    from hub.paths import StatePaths

    Opened = Callable[[], AbstractAsyncContextManager[Registry]]

S = 1_000_000_000
T0 = 1_763_750_000 * S


def test_only_the_right_password_of_the_right_user_is_accepted(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as registry:
            users = registry.users
            assert await users.add("ann", "secret", Role.VIEWER, T0) is True
            assert await users.add("ann", "other", Role.ADMIN, T0) is False
            await users.add("robot", None, Role.ADMIN, T0)
            assert await users.check_password("ann", "secret") is Role.VIEWER
            for name, password in [("ann", "other"), ("ann", ""), ("bob", "secret"), ("robot", ""), ("", "")]:
                assert await users.check_password(name, password) is None

    asyncio.run(scenario())


def test_an_unknown_user_costs_one_hash_as_a_known_one_does(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with opened() as registry:
            users = registry.users
            await users.add("ann", "secret", Role.VIEWER, T0)
            verified: list[str] = []
            verify = users._verify

            def counting(encoded: str, password: str) -> bool:
                verified.append(encoded)
                return verify(encoded, password)

            monkeypatch.setattr(users, "_verify", counting)
            for name in ("ann", "bob"):
                await users.check_password(name, "wrong")
            assert len(verified) == 2
            assert verified[1].split("$")[:-2] == verified[0].split("$")[:-2]  # the same cost

    asyncio.run(scenario())


def test_a_token_is_valid_until_it_expires(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as registry:
            users = registry.users
            await users.add("ann", None, Role.ADMIN, T0)
            token = await users.issue("ann", Scope.READ, T0, T0 + 60 * S)
            holder = await users.holder(token, T0 + 59 * S)
            assert holder is not None
            assert (holder.user, holder.role, holder.scope, holder.may_change) == ("ann", Role.ADMIN, Scope.READ, False)
            assert await users.holder(token, T0 + 60 * S) is None
            assert await users.holder(token + "x", T0) is None
            assert await users.holder("\udcff", T0) is None

    asyncio.run(scenario())


def test_only_the_hash_of_a_token_and_of_a_password_is_stored(opened: Opened, paths: StatePaths) -> None:
    async def scenario() -> str:
        async with opened() as registry:
            await registry.users.add("ann", "a very secret thing", Role.ADMIN, T0)
            return await registry.users.issue("ann", Scope.FULL, T0, None)

    token = asyncio.run(scenario())
    database = sqlite3.connect(paths.registry)
    everything = "".join(database.iterdump())
    database.close()
    assert "$argon2id$" in everything
    assert token not in everything
    assert token.removeprefix("iothub_") not in everything
    assert "a very secret thing" not in everything


def test_a_revoked_token_is_valid_no_longer(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as registry:
            users = registry.users
            await users.add("ann", None, Role.ADMIN, T0)
            token = await users.issue("ann", Scope.FULL, T0, None)
            assert await users.revoke(token) is True
            assert await users.revoke(token) is False
            assert await users.holder(token, T0) is None

    asyncio.run(scenario())


def test_a_changed_password_revokes_the_tokens_of_the_user_and_no_others(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as registry:
            users = registry.users
            tokens = {}
            for name in ("ann", "bob"):
                await users.add(name, "old", Role.ADMIN, T0)
                tokens[name] = await users.issue(name, Scope.FULL, T0, None)
            assert await users.set_password("ann", "new") is True
            assert await users.set_password("nobody", "new") is False
            assert await users.check_password("ann", "old") is None
            assert await users.check_password("ann", "new") is Role.ADMIN
            assert await users.holder(tokens["ann"], T0) is None
            assert await users.holder(tokens["bob"], T0) is not None

    asyncio.run(scenario())


def test_maintenance_drops_expired_tokens_and_old_logins(opened: Opened, paths: StatePaths) -> None:
    async def scenario() -> None:
        async with opened() as registry:
            users = registry.users
            await users.add("ann", None, Role.ADMIN, T0)
            await users.issue("ann", Scope.FULL, T0, T0 + S)
            await users.issue("ann", Scope.FULL, T0, None)
            await users.record_login("ann", "127.0.0.1", accepted=True, now_ns=T0)
            await users.record_login("x" * 500, "127.0.0.1", accepted=False, now_ns=T0 + 80 * 86_400 * S)
            await registry.maintain(T0 + 91 * 86_400 * S)

    asyncio.run(scenario())
    database = sqlite3.connect(paths.registry)
    assert database.execute("SELECT count(*) FROM tokens").fetchone() == (1,)
    assert database.execute("SELECT user, accepted FROM logins").fetchall() == [("x" * 64, 0)]
    database.close()


def test_the_first_start_makes_an_administrator_and_a_token_file_for_the_owner_only(
    opened: Opened, paths: StatePaths
) -> None:
    async def scenario() -> None:
        async with opened() as registry:
            password = await ensure_local_access(registry, paths)
            assert password is not None
            assert len(password) >= 20
            assert await registry.users.check_password(ADMIN, password) is Role.ADMIN
            assert paths.cli_token.stat().st_mode & 0o777 == 0o600
            holder = await registry.users.holder(read_secret(paths.cli_token), T0)
            assert holder is not None
            assert (holder.user, holder.may_change, holder.expires_ns) == (LOCAL, True, None)

    asyncio.run(scenario())


def test_later_starts_keep_password_and_token(opened: Opened, paths: StatePaths) -> None:
    async def scenario() -> None:
        async with opened() as registry:
            await ensure_local_access(registry, paths)
        token = read_secret(paths.cli_token)
        paths.cli_token.chmod(0o644)
        async with opened() as registry:
            assert await ensure_local_access(registry, paths) is None
        assert read_secret(paths.cli_token) == token
        assert paths.cli_token.stat().st_mode & 0o777 == 0o600

    asyncio.run(scenario())


def test_a_token_file_that_is_lost_or_spoilt_is_made_anew(opened: Opened, paths: StatePaths) -> None:
    async def scenario() -> None:
        async with opened() as registry:
            await ensure_local_access(registry, paths)
            for spoilt in (b"nonsense\n", b"", b"\xff\xfe"):
                paths.cli_token.write_bytes(spoilt)
                assert await ensure_local_access(registry, paths) is None
                assert await registry.users.holder(read_secret(paths.cli_token), T0) is not None
            paths.cli_token.unlink()
            await ensure_local_access(registry, paths)
            assert await registry.users.holder(read_secret(paths.cli_token), T0) is not None

    asyncio.run(scenario())
