"""State files: what a full disk, a damaged file, a second process and a newer version look like to the caller."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hub.statefile import StateBroken, StateFile, StateFull, StateUnavailable, many, transaction
from tests.support.smalldisk import PageLimit, Tmpfs, small_disk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TABLE = (("CREATE TABLE lines (id INTEGER PRIMARY KEY, line TEXT NOT NULL)",),)


def state(
    path: Path, *, sync: bool = True, loaded: Callable[[sqlite3.Connection, bool], None] | None = None
) -> StateFile:
    if loaded is None:
        return StateFile(path, TABLE, sync=sync)
    return StateFile(path, TABLE, sync=sync, loaded=loaded)


def add(line: str) -> Callable[[sqlite3.Connection], None]:
    return lambda connection: connection.execute("INSERT INTO lines (line) VALUES (?)", (line,)).close()


def lines(connection: sqlite3.Connection) -> list[str]:
    return [line for (line,) in connection.execute("SELECT line FROM lines ORDER BY id")]


async def written(path: Path, *added: str) -> None:
    async with state(path) as file:
        for line in added:
            await file.run(add(line))


async def until_it_fails(file: StateFile) -> None:
    for _ in range(100):
        await file.run(add("x" * 100_000))


async def read(path: Path) -> list[str]:
    async with state(path) as file:
        return await file.run(lines)


def test_what_was_written_is_there_after_reopening_and_only_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    asyncio.run(written(path, "a", "b"))
    assert asyncio.run(read(path)) == ["a", "b"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    def work(connection: sqlite3.Connection) -> None:
        with transaction(connection):
            add("a")(connection)
            raise KeyError("b")

    async def main() -> list[str]:
        async with state(tmp_path / "state.db") as file:
            with pytest.raises(KeyError):
                await file.run(work)
            await file.run(add("c"))
            return await file.run(lines)

    assert asyncio.run(main()) == ["c"]


def test_many_rows_are_one_statement_and_huge_numbers_are_clamped(tmp_path: Path) -> None:
    def work(connection: sqlite3.Connection) -> list[tuple[int, str]]:
        many(
            connection, "INSERT INTO lines SELECT value ->> 0, value ->> 1 FROM json_each(?)", [(2**80, "ü"), (1, "b")]
        )
        many(connection, "INSERT INTO lines SELECT value ->> 0, value ->> 1 FROM json_each(?)", [])
        return connection.execute("SELECT id, line FROM lines ORDER BY id").fetchall()

    async def main() -> list[tuple[int, str]]:
        async with state(tmp_path / "state.db") as file:
            return await file.run(work)

    assert asyncio.run(main()) == [(1, "b"), (2**63 - 1, "ü")]


def test_a_full_disk_is_told_keeps_what_was_there_and_works_again_when_there_is_space(tmp_path: Path) -> None:
    async def main(path: Path) -> list[str]:
        async with state(path) as file:
            await file.run(add("before"))
            await disk.fill(file)
            with pytest.raises(StateFull, match=r"no space left for .*state\.db: free some"):
                await until_it_fails(file)
            kept = await file.run(lines)
            await disk.free(file)
            await file.run(add("after"))
            assert await file.run(lines) == [*kept, "after"]
            return kept

    with small_disk(tmp_path) as disk:
        kept = asyncio.run(main(disk.path / "state.db"))
        assert kept[0] == "before"
        assert asyncio.run(read(disk.path / "state.db")) == [*kept, "after"]


def test_sqlites_own_limit_is_the_same_error_as_a_full_disk(tmp_path: Path) -> None:
    async def main() -> None:
        limit = PageLimit(tmp_path)
        async with state(tmp_path / "state.db") as file:
            await limit.fill(file)
            with pytest.raises(StateFull):
                await file.run(add("x" * 1_000_000))
            await limit.free(file)
            await file.run(add("x" * 1_000_000))

    asyncio.run(main())


def test_a_full_disk_at_the_start_is_told_as_such(tmp_path: Path) -> None:
    async def main(path: Path, disk: Tmpfs) -> None:
        file = state(path)
        await disk.fill(file)
        with pytest.raises(StateFull):
            async with file:
                pass
        await disk.free(file)
        await written(path, "a")

    with small_disk(tmp_path) as disk:
        if isinstance(disk, Tmpfs):
            asyncio.run(main(disk.path / "state.db", disk))
        else:  # no mount here: the nearest there is
            said = limited(f"""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, -1))
    async with StateFile(pathlib.Path({str(tmp_path / "state.db")!r}), {TABLE!r}, sync=True):
        pass
""")
            assert said.startswith("StateUnavailable ")


def test_a_write_that_fails_for_another_reason_is_unavailable(tmp_path: Path) -> None:
    said = limited(f"""
    async with StateFile(pathlib.Path({str(tmp_path / "state.db")!r}), {TABLE!r}, sync=True) as file:
        await file.run(lambda c: c.execute("INSERT INTO lines (line) VALUES ('before')").close())
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, -1))
        await file.run(lambda c: c.execute("INSERT INTO lines (line) VALUES (?)", ("x" * 1_000_000,)).close())
""")  # noqa: S608  a script, and its values are ours
    assert said.startswith("StateUnavailable ")
    assert "SQLITE_IOERR" in said
    assert asyncio.run(read(tmp_path / "state.db")) == ["before"]


def limited(body: str) -> str:
    """What a process says that may not write large files; it ends with a StateUnavailable."""
    script = f"""
import asyncio, pathlib, resource
from hub.statefile import StateFile, StateUnavailable
async def main():{body}
try:
    asyncio.run(main())
except StateUnavailable as error:
    print(type(error).__name__, error)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize("content", [b"no database at all\n" * 1000, b"SQLite format 3\x00" + bytes(5000)])
def test_a_damaged_file_is_moved_aside_at_the_start_and_a_new_one_begun(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(content)
    asyncio.run(written(path, "new"))
    assert asyncio.run(read(path)) == ["new"]
    [aside] = tmp_path.glob("state.db.damaged-*")
    assert aside.read_bytes() == content


def test_damage_that_an_unclean_end_left_is_found_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    asyncio.run(written(path, *("x" * 5000 for _ in range(50))))
    content = bytearray(path.read_bytes())
    content[8192 * 3 :] = b"\xff" * (len(content) - 8192 * 3)
    path.write_bytes(bytes(content))
    (tmp_path / "state.db-wal").touch()
    assert asyncio.run(read(path)) == []
    assert len(list(tmp_path.glob("state.db.damaged-*"))) == 1


def test_damage_found_while_running_begins_a_new_file_and_asks_to_call_again(tmp_path: Path) -> None:
    calls: list[bool] = []

    def broken(_connection: sqlite3.Connection) -> None:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT_INDEX
        raise error

    async def main() -> list[str]:
        async with state(tmp_path / "state.db", loaded=lambda _, replaced: calls.append(replaced)) as file:
            await file.run(add("old"))
            with pytest.raises(StateUnavailable, match="was damaged"):
                await file.run(broken)
            await file.run(add("new"))
            return await file.run(lines)

    assert asyncio.run(main()) == ["new"]
    assert calls == [False, True]
    [aside] = tmp_path.glob("state.db.damaged-*")
    with sqlite3.connect(aside) as connection:
        assert lines(connection) == ["old"]
    connection.close()


def test_a_second_process_is_told_that_another_one_has_the_file(tmp_path: Path) -> None:
    path = tmp_path / "state.db"

    async def main() -> None:
        async with state(path) as file:
            await file.run(add("a"))
            with pytest.raises(StateBroken, match="second hub"):
                async with state(path):
                    pass

    asyncio.run(main())


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    newer = (*TABLE, ("CREATE TABLE more (id INTEGER)",))

    async def main() -> None:
        async with StateFile(path, newer, sync=True) as file:
            await file.run(add("a"))
        with pytest.raises(StateBroken, match=r"newer iothub \(version 2, this one knows 1\)"):
            async with state(path):
                pass
        async with StateFile(path, newer, sync=True) as file:
            assert await file.run(lines) == ["a"]

    asyncio.run(main())


def test_an_older_file_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "state.db"

    async def main() -> list[str]:
        await written(path, "a")
        more = (*TABLE, ("ALTER TABLE lines ADD COLUMN more TEXT", "UPDATE lines SET line = line || '2'"))
        async with StateFile(path, more, sync=True) as file:
            return await file.run(lines)

    assert asyncio.run(main()) == ["a2"]


def test_a_folder_that_is_not_there_is_told_with_its_path(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(StateBroken, match=r"nowhere/state\.db: No such file"):
            async with state(tmp_path / "nowhere" / "state.db"):
                pass

    asyncio.run(main())


def test_a_mistake_in_our_sql_is_no_trouble_of_the_disk(tmp_path: Path) -> None:
    async def main() -> None:
        async with state(tmp_path / "state.db") as file:
            with pytest.raises(sqlite3.OperationalError, match="no such table"):
                await file.run(lambda connection: connection.execute("SELECT * FROM none").close())

    asyncio.run(main())
