"""``python -m dashboard`` as a process: it ends when it is told to, and says with its exit code that all is well."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from dashboard.names import READY

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_dashboard_that_is_told_to_stop_exits_with_0(tmp_path: Path, how: signal.Signals) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("IOTHUB_")}
    with subprocess.Popen(
        [sys.executable, "-m", "dashboard"],
        env=environment | {"IOTHUB_DASHBOARD__PORT": "0", "HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(READY)
        process.send_signal(how)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")
