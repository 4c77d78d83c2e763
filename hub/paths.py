"""Where the state directory keeps what; made with mode 0700, files with secrets 0600."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class StatePaths:
    """Paths below one state directory (``--state``)."""

    root: Path

    @property
    def registry(self) -> Path:
        """SQLite: nodes, connections, users, tokens."""
        return self.root / "hub.db"

    @property
    def database(self) -> Path:
        """DuckDB file of the embedded store."""
        return self.root / "tsdb.duckdb"

    @property
    def rejects(self) -> Path:
        """SQLite: refused messages."""
        return self.root / "rejects.db"

    @property
    def ledger(self) -> Path:
        """SQLite: what became of the messages of each node."""
        return self.root / "ledger.db"

    @property
    def commands(self) -> Path:
        """SQLite: commands, their output, and the journal of all that happened with them."""
        return self.root / "commands.db"

    @property
    def operators(self) -> Path:
        """Public keys of operators, ``{operator}.pub`` each; made when the first is trusted."""
        return self.root / "operators"

    @property
    def spool(self) -> Path:
        """What stores could not take yet: one folder a store, segments and a position (``hub/store/spool.py``)."""
        return self.root / "spool"

    @property
    def influx_due(self) -> Path:
        """Hours whose roll-ups in InfluxDB are to be made (``hub/store/influx_due.py``)."""
        return self.root / "influx-rollups.json"

    @property
    def broker(self) -> Path:
        """Configuration, accounts, persistence and log of the managed Mosquitto."""
        return self.root / "mosquitto"

    @property
    def secrets(self) -> Path:
        """One file a secret, mode 0600: ``mqtt-hub``, ``-agent``, ``-operator``, ``-admin``, and ``cli-token``."""
        return self.root / "secrets"

    @property
    def tls(self) -> Path:
        """Certificate authority and the certificates it issued (``hub/tls/certificates.py``)."""
        return self.root / "tls"

    @property
    def cli_token(self) -> Path:
        """API token of the local CLI."""
        return self.secrets / "cli-token"

    @property
    def dashboard_token(self) -> Path:
        """For it the hub believes the dashboard where people come from who log in."""
        return self.secrets / "dashboard-token"

    @property
    def run(self) -> Path:
        """JSON written by the running hub: pid, API URL, broker address; read by the CLI (``hub/runfile.py``)."""
        return self.root / "run.json"

    @property
    def broker_seen(self) -> Path:
        """JSON: what the broker's counters said when a hub last looked (``hub/broker_watch.py``)."""
        return self.root / "broker-seen.json"

    @property
    def subscribed(self) -> Path:
        """JSON: the filters that the hub's session subscribes to (``hub/subscriptions.py``)."""
        return self.root / "subscribed.json"

    @property
    def denials(self) -> Path:
        """SQLite: who was turned away by the broker, and how far its log was read."""
        return self.root / "denials.db"

    @property
    def logs(self) -> Path:
        """What the children of ``iothub up`` log, one file each."""
        return self.root / "log"

    @property
    def agent(self) -> Path:
        """State of the agent that ``iothub up`` runs."""
        return self.root / "agent"

    def make(self) -> None:
        """Create the directories with mode 0700.

        Raises:
            OSError: no permission, or a file stands in the way; the message names the path.
        """
        for folder in (self.root, self.secrets, self.broker, self.agent, self.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)


def write_secret(path: Path, text: str, *, owner: tuple[int, int] | None = None) -> None:
    """Write ``text`` to ``path`` so that it never exists with a wider mode than 0600, nor half written.

    ``owner``: user and group id it shall belong to (root only); ours when None. A link that somebody planted in the
    folder is not followed.
    """
    partial = path.with_name(path.name + ".new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        if owner is not None:
            os.fchown(descriptor, *owner)
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_secret(path: Path) -> str:
    """The one line of a secret file."""
    return path.read_text(encoding="utf-8").strip()
