"""A source that was taken out of the settings delivers nothing more; all others go on without a gap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.link import Filter
from hub.subscriptions import Subscriptions
from tests.support.links import collect, connected, payloads, pub, run
from tests.support.mosquitto import Mosquitto

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("mosquitto")) as running:
        yield running


def test_a_filter_that_is_wanted_no_more_is_ended_also_by_a_later_hub(broker: Mosquitto, tmp_path: Path) -> None:
    file = tmp_path / "subscribed.json"
    snapshot = Filter("a/status", snapshot=True)

    async def test() -> None:
        async with connected(
            broker.port, "a/#", "b/#", "c/#", snapshot, client_id="one", subscriptions=Subscriptions(file, "one")
        ):
            pass
        for _ in range(2):  # it stays so
            async with connected(
                broker.port, "a/#", "c/x", snapshot, client_id="one", subscriptions=Subscriptions(file, "one")
            ) as link:
                for topic in ("b/x", "c/y", "c/x", "a/x"):
                    await pub(broker.port, topic, [topic.encode()])
                assert payloads(await collect(link, 2)) == [b"c/x", b"a/x"]

    run(test)


def test_without_the_file_nothing_is_ended_and_the_session_goes_on(broker: Mosquitto) -> None:
    async def test() -> None:
        async with connected(broker.port, "d/#", "e/#", client_id="two"):
            pass
        async with connected(broker.port, "d/#", client_id="two") as link:
            await pub(broker.port, "e/x", [b"e"])
            await pub(broker.port, "d/x", [b"d"])
            assert payloads(await collect(link, 2)) == [b"e", b"d"]

    run(test)


def test_a_hub_that_died_between_both_remembers_old_and_new(tmp_path: Path) -> None:
    file = tmp_path / "subscribed.json"
    first = Subscriptions(file, "s")
    assert first.begin(["a", "b"]) == []
    first.done(["a", "b"])
    assert Subscriptions(file, "s").begin(["b", "c"]) == ["a"]  # and dies
    again = Subscriptions(file, "s")
    assert again.begin(["b"]) == ["a", "c"]
    again.done(["b"])
    assert Subscriptions(file, "s").begin(["b"]) == []


@pytest.mark.parametrize("content", [b"", b"{", b'{"session":"s","filters":7}', b"\xff"])
def test_a_damaged_file_or_one_of_another_session_says_nothing(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "subscribed.json"
    file.write_bytes(content)
    assert Subscriptions(file, "s").begin(["a"]) == []
    assert Subscriptions(file, "another").begin(["b"]) == []


def test_a_disk_that_takes_nothing_is_no_reason_to_stop(tmp_path: Path) -> None:
    known = Subscriptions(tmp_path / "missing" / "subscribed.json", "s")
    assert known.begin(["a"]) == []
    known.done(["a"])
    assert known.begin(["b"]) == ["a"]
