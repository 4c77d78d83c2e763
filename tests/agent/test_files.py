"""``files``: what can be listed and fetched, and that nothing else can."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from agent.folders import OutsideError, opened
from tests.support.commanding import Bench, run_commands
from tests.support.mosquitto import Mosquitto

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("mosquitto")) as running:
        yield running


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("hello", encoding="utf-8")
    (folder / "sub" / "b.bin").write_bytes(bytes(range(256)) * 1000)
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    (tmp_path / "shared-not").mkdir()
    (tmp_path / "shared-not" / "x").write_text("secret", encoding="utf-8")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "inside").symlink_to(folder / "a.txt")
    (folder / "linked").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(folder / "pipe")
    return folder


async def send(bench: Bench, request_id: str, **args: object) -> dict[str, Any]:
    bench.send("files", json.dumps({"id": request_id, "args": args}))
    return await bench.final(f"/{request_id}")


def fetched(bench: Bench, request_id: str) -> bytes:
    replies = bench.replies(f"/{request_id}")
    return b"".join(base64.b64decode(reply["data"]) for reply in replies if reply.get("stream") == "base64")


def test_a_folder_is_listed(broker: Mosquitto, shared: Path, tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        final = await send(bench, "l1", path=str(shared))
        entries = {entry["name"]: entry["kind"] for entry in final["result"]["entries"]}
        assert entries == {
            "a.txt": "file", "inside": "link", "link": "link", "linked": "link", "pipe": "other", "sub": "folder",
        }  # fmt: skip
        assert final["result"]["entries"][0]["size"] == 5
        final = await send(bench, "l2", path=str(shared), after="link")
        assert [entry["name"] for entry in final["result"]["entries"]] == ["linked", "pipe", "sub"]

    run_commands(broker, test, state=tmp_path, files={"folders": [str(shared)]})


def test_a_file_is_fetched_in_parts_that_can_be_checked(broker: Mosquitto, shared: Path, tmp_path: Path) -> None:
    path = shared / "sub" / "b.bin"
    content = path.read_bytes()

    async def test(bench: Bench) -> None:
        kept = b""
        for number in range(3):
            final = await send(bench, f"f{number}", path=str(path), action="fetch", offset=len(kept))
            kept += fetched(bench, f"f{number}")
            result = final["result"]
            assert result["end"] == len(kept)
            assert result["sha256"] == hashlib.sha256(kept).hexdigest()
            assert result["complete"] is (number == 2)
            assert result["size"] == len(content)
        assert kept == content

    run_commands(broker, test, state=tmp_path, files={"folders": [str(shared)], "max_bytes": 100_000})


def test_a_file_that_changed_meanwhile_gives_another_digest(broker: Mosquitto, shared: Path, tmp_path: Path) -> None:
    path = shared / "a.txt"

    async def test(bench: Bench) -> None:
        await send(bench, "c1", path=str(path), action="fetch", length=3)
        kept = fetched(bench, "c1")
        path.write_text("HELLO", encoding="utf-8")
        final = await send(bench, "c2", path=str(path), action="fetch", offset=3)
        assert final["result"]["sha256"] != hashlib.sha256(kept + fetched(bench, "c2")).hexdigest()

    run_commands(broker, test, state=tmp_path, files={"folders": [str(shared)]})


@pytest.mark.parametrize("action", ["list", "fetch"])
@pytest.mark.parametrize(
    "path",
    [
        "{shared}/../secret", "{shared}/sub/../../secret", "{shared}/./a.txt", "{shared}//a.txt", "{shared}/link",
        "{shared}/linked/secret", "{shared}/linked", "{shared}/inside", "{shared}/pipe", "{shared}-not/x",
        "{shared}/../shared/a.txt", "{shared}/..", "/etc/passwd", "/", "shared/a.txt", "{shared}/a.txt\x00/etc/passwd",
        "~/secret", "{shared}/%2e%2e/secret/..", "/proc/self/root{shared}/a.txt",
    ],
)  # fmt: skip
def test_nothing_outside_can_be_read(broker: Mosquitto, shared: Path, tmp_path: Path, path: str, action: str) -> None:
    async def test(bench: Bench) -> None:
        final = await send(bench, "t1", path=path.format(shared=shared), action=action)
        assert final["state"] == "refused", final
        assert fetched(bench, "t1") == b""

    run_commands(broker, test, state=tmp_path, files={"folders": [str(shared)]})


def test_a_link_that_takes_the_place_of_a_folder_is_not_followed(shared: Path, tmp_path: Path) -> None:
    path = str(shared / "sub" / "b.bin")
    with opened(path, [str(shared)]):
        pass
    (shared / "sub").rename(shared / "gone")
    (tmp_path / "b.bin").write_text("secret", encoding="utf-8")
    (shared / "sub").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(OutsideError, match="'sub' is a symbolic link"), opened(path, [str(shared)]):
        pass


def test_a_folder_that_is_swapped_for_a_link_all_the_time_never_leads_outside(shared: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "b.bin").write_text("secret", encoding="utf-8")
    inside, at = shared / "gone", shared / "sub"
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            at.rename(inside)
            at.symlink_to(outside, target_is_directory=True)
            at.unlink()
            inside.rename(at)

    swapping = threading.Thread(target=swap)
    swapping.start()
    seen = Counter[str]()
    try:
        while seen["read"] < 300 or not seen["refused"]:
            try:
                with opened(str(at / "b.bin"), [str(shared)]) as file:
                    assert os.read(file, 6) != b"secret"
                seen["read"] += 1
            except OutsideError:
                seen["refused"] += 1
            except FileNotFoundError:
                seen["missing"] += 1
    finally:
        over.set()
        swapping.join()


def test_without_folders_everything_is_refused(broker: Mosquitto, shared: Path, tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        final = await send(bench, "n1", path=str(shared))
        assert final["state"] == "refused"
        assert "agent.commands.files.folders" in final["result"]["error"]

    run_commands(broker, test, state=tmp_path)


def test_a_missing_file_fails_with_a_word_and_leaves_nothing_open(
    broker: Mosquitto, shared: Path, tmp_path: Path
) -> None:
    async def test(bench: Bench) -> None:
        final = await send(bench, "m0", path=str(shared / "none"), action="fetch")
        assert (final["state"], "No such file" in final["result"]["error"]) == ("failed", True)
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  counted, not used
        for number in range(1, 6):
            await send(bench, f"m{number}", path=str(shared / "none"), action="fetch")
            await send(bench, f"n{number}", path=str(shared / "link"), action="fetch")
        assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208  counted, not used

    run_commands(broker, test, state=tmp_path, files={"folders": [str(shared)]})
