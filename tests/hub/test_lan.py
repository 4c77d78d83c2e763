"""Certificates that end, as the hub sees them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from hub.broker.lan import certificates_of
from hub.config import Settings
from hub.lan import Lan
from hub.metrics import Metrics
from hub.paths import StatePaths
from tests.support.opened import lan_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DAY_S = 86_400.0


def now_s() -> float:
    return dt.datetime.now(dt.UTC).timestamp()


def made(root: Path, ahead_days: float, *, enabled: bool = True, metrics: Metrics | None = None) -> Lan:
    settings = Settings.model_validate({"broker": {"lan": lan_settings(enabled=enabled)}})
    paths = StatePaths(root / "var")
    paths.make()
    certificates = certificates_of(settings, paths)
    if not certificates.exists:
        certificates.make("h", ["localhost"])
    return Lan(settings, paths, metrics or Metrics(), clock_s=lambda: now_s() + ahead_days * DAY_S)


def test_a_closed_network_says_nothing(tmp_path: Path) -> None:
    lan = made(tmp_path, 0, enabled=False)
    assert (lan.certificates, lan.health(), lan.soon()) == (None, (), [])


def test_certificates_that_have_long_to_go_are_well(tmp_path: Path) -> None:
    (link,) = made(tmp_path, 0).health()
    assert (link.name, link.ok) == ("certificates", True)
    assert "397 days" in link.detail


@pytest.mark.parametrize(("days", "warned"), [(382, False), (384, True), (396, True)])
def test_the_end_is_told_14_days_ahead(tmp_path: Path, days: float, *, warned: bool) -> None:
    lan = made(tmp_path, days)
    assert bool(lan.soon()) is warned
    (link,) = lan.health()
    assert link.ok, "it is still good"
    assert ("iothub tls renew" in link.detail) is warned


def test_a_certificate_of_the_hub_that_has_ended_breaks_the_chain(tmp_path: Path) -> None:
    (link,) = made(tmp_path, 398).health()
    assert not link.ok
    assert "ended" in link.detail


def test_what_is_left_is_told_to_the_rules_and_as_a_metric(tmp_path: Path) -> None:
    metrics = Metrics()
    lan = made(tmp_path, 390, metrics=metrics)
    said: list[Mapping[str, float]] = []
    lan.tell = said.append
    lan.look()
    assert said[0]["certificate_days"] == pytest.approx(7, abs=0.1)
    assert b"iothub_certificate_ends_timestamp_seconds" in metrics.text()


def test_damaged_certificates_break_the_chain_and_say_which(tmp_path: Path) -> None:
    lan = made(tmp_path, 0)
    assert lan.certificates is not None
    (lan.certificates.folder / "ca.crt").write_text("nonsense")
    lan.look()
    (link,) = lan.health()
    assert not link.ok
    assert link.detail
