"""The scripts that people and CI call: they set up only what is missing, and say what to do where they cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.sources import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SCRIPTS = ["scripts/bench", "scripts/check", "scripts/test", "scripts/up", ".ci/run"]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with nothing but the scripts, and a .venv whose pip only notes that it was called."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "pip").write_text(f"#!{programs}/python\n", encoding="utf-8")
    (programs / "python").write_text('#!/bin/sh\necho "$@" >> calls\n', encoding="utf-8")
    (programs / "python").chmod(0o755)
    return tmp_path


def bash(clone: Path, commands: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"source {clone}/scripts/lib.sh\n{commands}"],
        cwd="/",
        env={"PATH": os.environ["PATH"], "HOME": str(clone)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def calls(clone: Path) -> list[str]:
    noted = clone / "calls"
    return noted.read_text(encoding="utf-8").splitlines() if noted.exists() else []


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_script_can_be_called_as_it_is(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    assert subprocess.run(["bash", "-n", ROOT / script], check=False).returncode == 0


def test_ci_calls_what_people_call_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    assert commands == ["scripts/check", "scripts/test"]


def test_packages_are_installed_once_and_again_only_when_their_list_changes(clone: Path) -> None:
    for _ in range(2):
        assert bash(clone, "need_packages hub").returncode == 0
    assert len(calls(clone)) == 1
    assert "--editable .[hub] --constraint constraints.txt" in calls(clone)[0]
    (clone / "constraints.txt").write_text("x==1\n", encoding="utf-8")
    bash(clone, "need_packages hub")
    assert len(calls(clone)) == 2


def test_who_has_all_packages_needs_no_smaller_set(clone: Path) -> None:
    bash(clone, "need_packages all,test; need_packages hub")
    assert len(calls(clone)) == 1


def test_an_installation_that_failed_is_tried_again(clone: Path) -> None:
    (clone / ".venv" / "bin" / "python").write_text('#!/bin/sh\necho "$@" >> calls\nexit 1\n', encoding="utf-8")
    failed = bash(clone, "need_packages hub")
    assert failed.returncode == 1
    assert "pip could not install the packages" in failed.stderr
    bash(clone, "need_packages hub")
    assert len(calls(clone)) == 2


def test_a_virtual_environment_that_was_moved_is_made_anew(clone: Path) -> None:
    (clone / ".venv" / "bin" / "pip").write_text("#!/somewhere/else/.venv/bin/python\n", encoding="utf-8")
    done = bash(clone, 'find_python() { echo fake; }; fake() { echo "fake $*" >> calls; }; need_venv')
    assert done.returncode == 0, done.stderr
    assert calls(clone)[-1] == "fake -m venv .venv"
    assert not (clone / ".venv" / "bin" / "pip").exists()


def test_mosquitto_is_installed_only_where_it_is_missing(clone: Path) -> None:
    there = bash(clone, 'has() { true; }; apt_install() { echo "apt $*" >> calls; }; need_mosquitto')
    assert (there.returncode, calls(clone)) == (0, [])
    missing = bash(clone, 'has() { [ "$1" = apt-get ]; }; apt_install() { echo "apt $*" >> calls; }; need_mosquitto')
    assert (missing.returncode, calls(clone)) == (0, ["apt mosquitto mosquitto-clients"])


def test_the_databases_of_tests_are_installed_only_where_one_is_missing(clone: Path) -> None:
    there = bash(clone, 'has() { true; }; apt_install() { echo "apt $*" >> calls; }; need_databases')
    assert (there.returncode, calls(clone)) == (0, [])
    one = bash(clone, 'has() { [ "$1" = influxd ]; }; apt_install() { echo "apt $*" >> calls; }; need_databases')
    assert (one.returncode, calls(clone)) == (0, ["apt influxdb victoria-metrics"])


def test_who_cannot_install_the_databases_is_told_how(clone: Path) -> None:
    done = bash(clone, "has() { false; }; apt_install() { false; }; need_databases")
    assert done.returncode == 1
    assert "apt-get install influxdb victoria-metrics" in done.stderr


def test_the_browser_of_tests_is_installed_only_where_it_is_missing(clone: Path) -> None:
    there = bash(clone, 'has() { true; }; apt_install() { echo "apt $*" >> calls; }; need_chromium')
    assert (there.returncode, calls(clone)) == (0, [])
    missing = bash(clone, 'has() { false; }; apt_install() { echo "apt $*" >> calls; }; need_chromium')
    assert (missing.returncode, calls(clone)) == (0, ["apt chromium fonts-dejavu-core"])


def test_who_cannot_install_the_browser_is_told_how(clone: Path) -> None:
    done = bash(clone, "has() { false; }; apt_install() { false; }; need_chromium")
    assert done.returncode == 1
    assert "apt-get install chromium" in done.stderr


@pytest.mark.parametrize(
    ("system", "tool", "advice"),
    [
        ("Linux", "apt-get", "run as root: apt-get install mosquitto mosquitto-clients"),
        ("Linux", "dnf", "sudo dnf install mosquitto"),
        ("Linux", "none", "with the package manager of this system"),
        ("Darwin", "none", "brew install mosquitto"),
    ],
)
def test_who_cannot_install_mosquitto_is_told_how(clone: Path, system: str, tool: str, advice: str) -> None:
    done = bash(
        clone,
        f'has() {{ [ "$1" = {tool} ]; }}; apt_install() {{ false; }}; uname() {{ echo {system}; }}; need_mosquitto',
    )
    assert done.returncode == 1
    assert advice in done.stderr
