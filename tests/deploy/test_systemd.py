"""The units of scripts/systemd: valid, hardened, and of settings, options and programs that exist."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.iothub import IotHub
from tests.support.sources import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / "scripts" / "systemd"
UNITS = ["iothub-hub.service", "iothub-agent.service", "iothub-dashboard.service", "iothub-up.service"]
#: The highest exposure of each, by systemd's own measure from 0 (closed) to 10. The agent has to see the host.
EXPOSURE = {
    "iothub-hub.service": 1.5,
    "iothub-agent.service": 2.0,
    "iothub-dashboard.service": 1.5,
    "iothub-up.service": 2.0,
}

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here; on Debian: apt-get install systemd"
)
#: prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN): what MemoryDenyWriteExecute= asks of the kernel, Linux 6.3 or newer.
_PR_SET_MDWE, _PR_GET_MDWE, _REFUSE_EXEC_GAIN = 65, 66, 1
_UNDER_MDWE = (
    f"import ctypes, os, sys; assert ctypes.CDLL(None).prctl({_PR_SET_MDWE}, {_REFUSE_EXEC_GAIN}, 0, 0, 0) == 0; "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, timeout=60, check=False)


def here(unit: str, folder: Path) -> Path:
    """The unit with its programs where this machine has them, for systemd looks whether they are there."""
    text = (FOLDER / unit).read_text(encoding="utf-8")
    for program in ("iothub-agent", "iothub", "python"):
        (folder / program).write_text("#!/bin/sh\n")
        (folder / program).chmod(0o755)
    copy = folder / unit
    copy.write_text(text.replace("/opt/iothub/bin/", f"{folder}/"), encoding="utf-8")
    return copy


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_finds_nothing_wrong_with_a_unit(unit: str, tmp_path: Path) -> None:
    done = analyze("verify", str(here(unit, tmp_path)))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
def test_systemd_would_find_a_misspelt_key(tmp_path: Path) -> None:
    unit = here(UNITS[0], tmp_path)
    unit.write_text(unit.read_text().replace("ProtectHome=", "ProtectHomes="))
    assert "ProtectHomes" in analyze("verify", str(unit)).stderr


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_is_exposed_no_more_than_it_must_be(unit: str) -> None:
    done = analyze("security", "--offline=true", "--no-pager", str(FOLDER / unit))
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) <= EXPOSURE[unit]


@pytest.mark.parametrize("unit", UNITS)
def test_the_commands_of_a_unit_are_understood(unit: str, tmp_path: Path) -> None:
    text = (FOLDER / unit).read_text(encoding="utf-8")
    lines = re.findall(r"^ExecStart(?:Pre)?=(.+)$", text, re.MULTILINE)
    assert len(lines) == (1 if "dashboard" in unit else 2)
    config = tmp_path / "iothub.toml"
    config.write_text("")
    for line in lines:
        program, *words = line.split()
        # python -m MODULE as it stands, or the program that is installed for a module.
        name = program.rpartition("/")[2]
        module = {"iothub": "hub.cli", "iothub-agent": "agent"}.get(name) or words[words.index("-m") + 1]
        words = words[2:] if name == "python" else words
        swapped = [
            str(config) if word.startswith("/etc/") else word.replace("/var/lib/", f"{tmp_path}/") for word in words
        ]
        check = swapped if swapped[-1] in {"check", "--check"} else [*swapped, "--help"]
        done = subprocess.run(
            [sys.executable, "-m", module, *check], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_runs_as_a_user_that_is_made_and_keeps_its_state_where_it_says(unit: str) -> None:
    text = (FOLDER / unit).read_text(encoding="utf-8")
    (user,) = re.findall(r"^User=(\S+)$", text, re.MULTILINE)
    assert re.search(rf"^u {user} ", (FOLDER / "iothub.sysusers").read_text(encoding="utf-8"), re.MULTILINE)
    (state,) = re.findall(r"^StateDirectory=(\S+)$", text, re.MULTILINE)
    assert f"--state /var/lib/{state} " in text or "dashboard" in unit
    assert f"WorkingDirectory=/var/lib/{state}\n" in text


@pytest.mark.skipif(
    ctypes.CDLL(None).prctl(_PR_GET_MDWE, 0, 0, 0, 0) < 0, reason="this kernel cannot refuse writable code (Linux 6.3)"
)
def test_broker_hub_and_agent_run_without_writable_code(tmp_path: Path) -> None:
    class Hardened(IotHub):
        def argv(self, *words: str) -> list[str]:
            program, *rest = super().argv(*words)
            return [program, "-c", _UNDER_MDWE, *rest]

    iothub = Hardened(tmp_path)
    try:
        iothub.start()
        assert [node["contact"] for node in iothub.json("nodes")] == ["online"]
        assert iothub.stop() == 0
    finally:
        iothub.cleanup()


@pytest.mark.skipif(
    ctypes.CDLL(None).prctl(_PR_GET_MDWE, 0, 0, 0, 0) < 0, reason="this kernel cannot refuse writable code (Linux 6.3)"
)
def test_the_dashboard_runs_without_writable_code_and_without_a_place_to_write_to(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", _UNDER_MDWE, "-m", "dashboard"]
    variables = {"IOTHUB_DASHBOARD__PORT": "0", "HOME": "/proc/nowhere", "PYTHONPATH": str(ROOT)}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("IOTHUB_")} | variables
    with subprocess.Popen(argv, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
            assert found is not None
            assert httpx.get(f"{found[0]}/login", timeout=60).status_code == 200
        finally:
            process.terminate()
    assert process.returncode in {0, -signal.SIGTERM}  # systemd takes either for a clean end
    assert not any(tmp_path.iterdir())
