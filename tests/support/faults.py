"""A broker and a hub to be broken, and what must hold afterwards.

``with Rig(tmp_path) as rig:`` runs both; ``rig.publish``, ``rig.settle``, then ``rig.check(load)`` stops the hub and
compares: every sample stored once with its value, and every message accounted for.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import threading
import time
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from bench import verify
from bench.broker import Broker
from bench.hub import HubProcess
from bench.load import Load, connect, encoded, send, send_in_parts
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from hub.rejects.model import KeptReject
    from wire.point import Value

#: Arguments that run ``tests/support/faulty_hub.py``.
FAULTY = ("-m", "tests.support.faulty_hub")
SETTLED = "settled"
#: 20 runs the tests at the length that the project promises: ``scripts/bench faults --matrix``.
SCALE = int(os.environ.get("FAULT_SCALE", "1"))


def recent_ms() -> int:
    """A minute ago: well within what a hub takes, and no sample of a short test lies ahead."""
    return int(time.time() * 1000) - 60_000


def unix_ms(text: str) -> int:
    """Unix time in ms of an ISO 8601 time."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def message(ts_ms: int, value: Value, **more: object) -> bytes:
    """One sample of ``room.temperature``."""
    return json.dumps({"ts": ts_ms, "values": {"temperature": value}, **more}).encode()


class Rig:
    """Broker and hub in one folder, both to be killed and started again.

    Args:
        settings: of the hub, ``IOTHUB_…``.
        lines: added to the broker's configuration.
        state: of the hub; in the folder when left out.
        program: Python arguments that run the hub.
        start: run both at the beginning of ``with``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        settings: Mapping[str, str] | None = None,
        lines: Sequence[str] = (),
        state: Path | None = None,
        program: Sequence[str] = ("-m", "hub.cli"),
        start: bool = True,
    ) -> None:
        self._start = start
        # Room for a backlog of a million and what else comes meanwhile.
        self.broker = Broker(folder / "broker", queued=2_000_000, lines=lines)
        self.state = state or folder / "var"
        self.hub = HubProcess(self.state, self.broker.port, settings, program=program)
        self._clients = itertools.count()
        self._markers = 0

    def __enter__(self) -> Self:
        if not self._start:
            return self
        self.broker.start()
        try:
            self.hub.start()
            self.hub.wait_linked()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def another_hub(self, settings: Mapping[str, str], program: Sequence[str]) -> HubProcess:
        """A hub with other settings for the same state directory; ours must not run meanwhile."""
        return HubProcess(self.state, self.broker.port, settings, program=program)

    def rejects(self) -> list[KeptReject]:
        """What the stopped hub refused, newest first."""
        return verify.rejects(self.state)

    def close(self) -> None:
        """End what still runs."""
        self.hub.kill()
        self.broker.stop()

    # -- messages in --------------------------------------------------------------------------------------------------

    def publish(self, load: Load) -> None:
        """Publish and wait for the broker's acknowledgements."""
        with contextlib.closing(connect(self.broker.port, f"load-{next(self._clients)}")) as link:
            send_in_parts(link, load)

    @contextlib.contextmanager
    def publishing(self, load: Load) -> Iterator[None]:
        """Publish while the body runs; leaving waits for the last acknowledgement."""
        failed: list[BaseException] = []

        def work() -> None:
            try:
                self.publish(load)
            except BaseException as error:  # noqa: BLE001  raised where the test sees it
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            thread.join()
        if failed:
            raise failed[0]

    def send(self, messages: Iterable[tuple[str, bytes]], *, qos: int = 1, retain: bool = False) -> None:
        """Publish messages as they are: topic and payload."""
        made = encoded(messages, qos=qos, retain=retain)
        with contextlib.closing(connect(self.broker.port, f"raw-{next(self._clients)}")) as link:
            send(link, made, Load(len(made), 1, qos=qos))

    def settle(self, timeout_s: float = 60.0) -> None:
        """Wait until all that was published is stored or refused: a message published now comes after it."""
        self._markers += 1
        marker = f'{{"ts":{recent_ms() + self._markers},"values":{{"n":{self._markers}}}}}'
        self.send([(f"iot/v1/{SETTLED}/telemetry/marker", marker.encode())])
        wait_until(self._is_settled, timeout_s, "the hub has stored what was published")

    # -- what the running hub says -------------------------------------------------------------------------------------

    def row(self, node: str) -> dict[str, Any]:
        """The ledger's row of a node."""
        rows: list[dict[str, Any]] = self.hub.get("ledger", node=node)["items"]
        assert rows, f"the ledger knows no {node}"
        return rows[0]

    def samples(self, node: str, series: str = "room.temperature") -> list[tuple[int, Any]]:
        """Stored samples of one series, ``measurement.field``, since 1970: times in ms and values, oldest first."""
        measurement, _, field = series.partition(".")
        found = self.hub.get(
            "query", node=node, measurement=measurement, field=field, start=0, stop="2100-01-01T00:00:00Z"
        )["series"]
        assert len(found) <= 1, found
        return list(zip(map(unix_ms, found[0]["times"]), found[0]["values"], strict=True)) if found else []

    def reasons(self, node: str) -> dict[str, int]:
        """Rejects of a node by reason, partial ones too."""
        return dict(Counter(reject["reason"] for reject in self.hub.get("rejects", node=node, limit=1000)["items"]))

    def retained(self, topic: str) -> bytes:
        """The retained message of a topic; empty when there is none."""
        argv = ["mosquitto_sub", "-p", str(self.broker.port), "-t", topic, "-C", "1", "-W", "1", "-N"]
        return subprocess.run(argv, capture_output=True, check=False, timeout=120).stdout

    def _is_settled(self) -> bool:
        rows = self.hub.get("ledger", node=SETTLED)["items"]  # none before the first marker
        return bool(rows) and rows[0]["stored"] + rows[0]["duplicate"] >= self._markers

    # -- what must hold -----------------------------------------------------------------------------------------------

    def check(self, *loads: Load) -> verify.Books:
        """Stop the hub; assert that of these nodes exactly this is stored, and that the ledger balances; return it."""
        self.hub.stop()
        wanted = {series: samples for load in loads for series, samples in verify.expected(load).items()}
        nodes = {node for node, _, _ in wanted}
        found = {series: samples for series, samples in verify.stored(self.state).items() if series[0] in nodes}
        verdict = verify.compare(wanted, found)
        assert verdict.ok, verdict
        return self.balance()

    def balance(self) -> verify.Books:
        """Assert that the ledger of the stopped hub accounts for every message, node by node."""
        books = verify.books(self.state)
        assert {node: row.unaccounted for node, row in books.rows.items() if row.unaccounted} == {}
        return books
