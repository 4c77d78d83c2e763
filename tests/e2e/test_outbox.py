"""Real agent, broker and hub: whichever of them dies, each sample is stored once and the ledger misses nothing."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bench import verify
from tests.support.faults import Rig, recent_ms
from tests.support.hostagent import Agent, in_outbox, outbox_path, put_in_outbox
from tests.support.mosquitto import accepts
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Everything but CPU and the agent's own figures would only slow the tests down.
SETTINGS = """
[mqtt]
port = {port}
keep_alive_s = 5

[agent]
node = "{node}"

[agent.outbox]
{outbox}

[agent.collectors]
cpu = {{ interval = 1 }}
agent = {{ interval = 1 }}
"""
QUIET = ("battery", "disk", "diskio", "fan", "memory", "net", "processes", "system", "temperature", "users")
#: When samples of an earlier run of the agent were taken.
BEFORE_MS = recent_ms() - 600_000


class Place:
    """One host with its agent's folder, on the broker and hub that all tests share."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.rig = rig
        self.hub, self.broker = rig.hub, rig.broker
        self.folder = folder
        self.node = folder.name

    def agent(self, outbox: str = "") -> Agent:
        settings = SETTINGS.format(port=self.rig.broker.port, node=self.node, outbox=outbox)
        return Agent(self.folder, settings + "".join(f"{name} = {{ enabled = false }}\n" for name in QUIET))

    def put(self, count: int, size: int = 0) -> None:
        """Samples of an earlier run of the agent: ``room.temperature`` is 1 … ``count``."""

        def encode(seq: int) -> bytes:
            sample = {"ts": BEFORE_MS + seq, "values": {"temperature": seq}, "seq": seq}
            return json.dumps(sample).encode().ljust(size)

        put_in_outbox(self.folder, f"iot/v1/{self.node}/telemetry/room", count, encode)

    def samples(self, series: str) -> list[tuple[int, Any]]:
        return self.rig.samples(self.node, series)

    def room(self) -> list[int]:
        return [int(value) for _, value in self.samples("room.temperature")]

    def session(self) -> dict[str, Any]:
        """Sequence numbers of the agent, as the hub counts them."""
        rows: list[dict[str, Any]] = self.rig.hub.get("ledger/sessions", node=self.node)["items"]
        assert len(rows) == 1, rows
        return rows[0]

    def wait_live(self) -> None:
        """Wait until a sample that was taken after this call is stored."""
        now_ms = time.time() * 1000
        wait_until(lambda: any(ts > now_ms for ts, _ in self.samples("cpu.load1")), 60, "a sample of now is stored")

    def wait_empty(self) -> None:
        """Wait until nothing is missing and the agent's outbox holds no more than what is under way."""

        def empty() -> bool:
            held = self.samples("agent.outbox_messages")
            row = self.session()
            return bool(held) and held[-1][1] <= 10 and row["missing"] == 0 and row["watermark"] == row["last"]

        wait_until(empty, 60, "the outbox is empty")

    def check(self, since_s: float, until_s: float) -> None:
        """Every tick between these times is stored, each number was seen, nothing is there twice."""
        times_s = [ts / 1000 for ts, _ in self.samples("cpu.load1") if since_s <= ts / 1000 <= until_s]
        assert len(times_s) == len(set(times_s))
        assert len(times_s) >= until_s - since_s - 2, "a sample a second"
        row = self.session()
        assert (row["missing"], row["dropped"], row["given_up"]) == (0, 0, 0), row
        assert row["seen"] == row["last"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("rig")) as rig:
        yield rig
        rig.hub.stop()
        rig.balance()
        twice = {
            series for series, found in verify.stored(rig.state).items() if np.diff(found.ts_ns).min(initial=1) < 1
        }
        assert twice == set()


@pytest.fixture
def place(shared: Rig, tmp_path: Path) -> Place:
    """Whatever the test before did, broker and hub run."""
    if not accepts(shared.broker.port):
        shared.broker.start()
    if not shared.hub.running:
        shared.hub.start()
    return Place(shared, tmp_path)


def test_a_hub_that_is_away_for_seconds_misses_nothing(place: Place) -> None:
    with place.agent():
        place.wait_live()
        since_s = time.time()
        place.hub.kill()
        wait_until(lambda: time.time() > since_s + 4)  # samples that nobody reads
        place.hub.start()
        place.wait_live()
        until_s = time.time() - 1
        place.wait_empty()
        place.check(since_s, until_s)


def test_a_broker_that_loses_all_it_had_costs_nothing(place: Place) -> None:
    with place.agent():
        place.wait_live()
        since_s = time.time()
        place.hub.kill()  # what the broker takes now waits there, and only there
        wait_until(lambda: time.time() > since_s + 2)
        place.broker.kill()
        for file in (place.hub.state.parent / "broker").glob("*.db*"):
            file.unlink()
        wait_until(lambda: time.time() > since_s + 4)
        place.broker.start()
        place.hub.start()
        place.wait_live()
        until_s = time.time() - 1
        place.wait_empty()
        place.check(since_s, until_s)


def test_a_killed_agent_sends_at_its_next_start_what_it_had_sampled(place: Place) -> None:
    with place.agent() as running:
        place.wait_live()
        place.broker.kill()
        wait_until(lambda: "out of reach" in running.text(), 60)
        since_s = time.time()
        wait_until(lambda: outbox_path(place.folder).stat().st_mtime > since_s + 3, 60, "samples are written")
        running.end(signal.SIGKILL)
    until_s = time.time() - 1
    kept = in_outbox(place.folder)
    assert len(kept) >= 6
    place.broker.start()
    with place.agent():
        place.wait_live()
        place.wait_empty()
        place.check(since_s, until_s)
        assert place.session()["last"] > kept[-1].seq, "the numbers go on"


def test_after_an_outage_the_newest_sample_comes_before_the_backlog_is_through(place: Place) -> None:
    count = 8000
    place.put(count)
    with place.agent():
        place.wait_live()
        assert place.session()["missing"] > 0, "the backlog is still on its way"
        place.wait_empty()
        assert place.samples("room.temperature") == [(BEFORE_MS + seq, seq) for seq in range(1, count + 1)]
        assert place.session()["dropped"] == 0


def test_what_a_full_outbox_gave_up_stands_in_the_ledger_and_the_rest_arrives(place: Place) -> None:
    count = 1000
    place.put(count, size=200)
    with place.agent("max_bytes = 65536"):
        place.wait_live()
        place.wait_empty()
        row, room = place.session(), place.room()
        assert 0 < row["dropped"] < count
        assert len(room) == count - row["dropped"]
        assert room[-100:] == list(range(count - 99, count + 1)), "the newest were kept"
        assert place.rig.row(place.node)["dropped_by_node"] == row["dropped"]
        assert row["watermark"] == row["last"] > count, "receipts pass over what will never come"
        assert place.rig.reasons(place.node) == {}


def test_what_was_given_up_is_not_told_into_the_void_where_each_word_would_push_out_more(place: Place) -> None:
    place.hub.kill()  # the broker takes everything for it
    place.put(1000, size=200)
    with place.agent("max_bytes = 65536") as running:
        wait_until(lambda: "connected to broker" in running.text(), 60)
        since_s = time.time()
        wait_until(lambda: outbox_path(place.folder).stat().st_mtime > since_s + 2, 60, "samples are written")
        assert running.end() == 0
    topics = {entry.topic.rpartition("/")[2] for entry in in_outbox(place.folder)}
    assert "cpu" in topics
    assert "outbox" not in topics


def test_a_full_outbox_that_must_keep_all_pauses_sampling_until_there_is_room(place: Place) -> None:
    count = 1000
    place.broker.kill()
    place.put(count, size=200)
    with place.agent('max_bytes = 65536\nwhen_full = "stop-sampling"') as running:
        wait_until(lambda: "sampling pauses until there is room" in running.text(), 60)
        place.broker.start()
        place.wait_live()
        place.wait_empty()
        row = place.session()
        assert (row["missing"], row["dropped"]) == (0, 0)
        assert place.room() == list(range(1, count + 1))
        assert place.samples("agent.skipped_runs")[-1][1] >= 2
        assert (running.text().count("sampling pauses"), running.text().count("sampling goes on")) == (1, 1)
        logged = [record["message"] for record in place.hub.get("logs", node=place.node)["items"]]
        assert any("runs were skipped" in message for message in logged)


def test_sigterm_leaves_on_disk_what_nobody_confirmed_and_the_next_start_sends_it(place: Place) -> None:
    place.hub.kill()
    place.put(500)
    with place.agent() as running:
        wait_until(lambda: "connected to broker" in running.text(), 60)
        assert running.end() == 0
    assert [entry.seq for entry in in_outbox(place.folder)][:500] == list(range(1, 501))
    place.hub.start()
    with place.agent():
        place.wait_live()
        place.wait_empty()
        assert place.room() == list(range(1, 501))


def test_a_second_agent_in_the_same_directory_says_so_and_ends(place: Place) -> None:
    with place.agent() as first:
        wait_until(lambda: "connected to broker" in first.text(), 60)
        with place.agent() as second:
            assert second.process.wait(60) == 1
            assert "another agent runs with this state directory" in second.text()
            assert "Traceback" not in second.text()
