"""A log file that grows and is begun anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.broker.tail import Place, Tail

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def test_only_what_comes_later_is_read_at_first(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    write(path, "before\n")
    tail = Tail(path, None)
    assert tail.read() == []
    write(path, "one\ntwo\nthr")
    assert tail.read() == [b"one", b"two"]
    write(path, "ee\n")
    assert tail.read() == [b"three"]
    assert tail.read() == []


def test_a_file_that_is_not_there_yet_is_read_from_its_begin(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "a.log", None)
    assert tail.read() == []
    write(tmp_path / "a.log", "one\n")
    assert tail.read() == [b"one"]


def test_nothing_is_missed_or_read_twice_when_the_file_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    write(path, "one\n")
    tail = Tail(path, Place())
    assert tail.read() == [b"one"]
    write(path, "two\n")
    path.replace(tmp_path / "a.log.1")
    write(path, "three\n")
    assert tail.read() + tail.read() == [b"two", b"three"]
    write(path, "four\n")
    assert tail.read() == [b"four"]


def test_another_reader_goes_on_where_one_ended(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    write(path, "one\n")
    first = Tail(path, Place())
    first.read()
    write(path, "two\n")
    assert Tail(path, first.place).read() == [b"two"]
