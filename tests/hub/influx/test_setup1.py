"""Provisioning of a real InfluxDB 1.x, open and with accounts."""

from __future__ import annotations

import stat
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from hub.config import RetentionSettings
from hub.influx.setup import Asked
from hub.influx.steps import SetupFailed
from hub.influx.wanted import rolled_up, same_statement, seconds, shown, wanted
from hub.store.base import Fn, StoreUnavailable
from hub.store.influx import InfluxStore
from hub.store.influx_settings import target_of
from tests.support.influx import Influxd
from tests.support.provisioned import outcomes, provision, settings_for
from tests.support.stores import NOON, at, line, run, samples, windows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.store.base import Store

DAY_S = 86_400
ALL_OF_IT = [
    "database NAME",
    "retention policy autogen",
    "retention policy rollup_1h",
    "retention policy rollup_1m",
    "continuous query rollup_1h",
    "continuous query rollup_1m",
]


def policies(influxd: Influxd, database: str) -> dict[str, str]:
    (found,) = influxd.ask(f'SHOW RETENTION POLICIES ON "{database}"')
    return {row[0]: row[1] for row in found["values"]}


def queries(influxd: Influxd, database: str) -> dict[str, str]:
    found = [each for each in influxd.ask("SHOW CONTINUOUS QUERIES") if each["name"] == database]
    return {row[0]: row[1] for each in found for row in each.get("values", [])}


def test_an_empty_server_gets_everything(influxd1: Influxd, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, influxd1.url, "setup-empty")
    expected = dict.fromkeys([name.replace("NAME", "setup-empty") for name in ALL_OF_IT], "made")
    assert outcomes(provision(settings)) == {**expected, "users": "not done"}
    assert policies(influxd1, "setup-empty") == {
        "autogen": "744h0m0s",
        "rollup_1m": f"{(365 + 7) * 24}h0m0s",
        "rollup_1h": f"{(5 * 365 + 28) * 24}h0m0s",
    }
    assert sorted(queries(influxd1, "setup-empty")) == ["rollup_1h", "rollup_1m"]


def test_the_second_time_nothing_changes_and_every_line_says_so(influxd1: Influxd, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, influxd1.url, 'set up "twice"')
    provision(settings)
    before = policies(influxd1, 'set up \\"twice\\"'), queries(influxd1, 'set up "twice"')
    assert set(outcomes(provision(settings)).values()) == {"there", "not done"}
    assert (policies(influxd1, 'set up \\"twice\\"'), queries(influxd1, 'set up "twice"')) == before


def test_too_short_a_retention_is_made_longer(influxd1: Influxd, tmp_path: Path) -> None:
    influxd1.ask('CREATE DATABASE "setup-short" WITH DURATION 2d NAME "autogen"')
    steps = provision(settings_for(tmp_path, influxd1.url, "setup-short"))
    assert outcomes(steps)["retention policy autogen"] == "changed"
    assert policies(influxd1, "setup-short")["autogen"] == "744h0m0s"


def test_a_retention_that_is_longer_is_made_shorter_only_when_asked(influxd1: Influxd, tmp_path: Path) -> None:
    influxd1.create("setup-long")
    settings = settings_for(tmp_path, influxd1.url, "setup-long")
    (left,) = [step for step in provision(settings) if step.what == "retention policy autogen"]
    assert left.outcome == "left"
    assert "keeps for ever" in left.note
    assert "`--shorten` deletes" in left.note
    assert policies(influxd1, "setup-long")["autogen"] == "0s"
    assert outcomes(provision(settings, Asked(shorten=True)))["retention policy autogen"] == "changed"
    assert policies(influxd1, "setup-long")["autogen"] == "744h0m0s"


def test_a_continuous_query_that_is_another_one_is_replaced(influxd1: Influxd, tmp_path: Path) -> None:
    influxd1.create("setup-cq")
    influxd1.ask(
        'CREATE CONTINUOUS QUERY "rollup_1m" ON "setup-cq" BEGIN SELECT mean(a) INTO b FROM c GROUP BY time(1m) END'
    )
    settings = settings_for(tmp_path, influxd1.url, "setup-cq")
    assert outcomes(provision(settings))["continuous query rollup_1m"] == "changed"
    assert "rollup_1m" in queries(influxd1, "setup-cq")["rollup_1m"]
    assert outcomes(provision(settings))["continuous query rollup_1m"] == "there"


def test_samples_go_to_the_retention_policy_of_the_settings(influxd1: Influxd, tmp_path: Path) -> None:
    influxd1.create("setup-rp")
    settings = settings_for(tmp_path, influxd1.url, "setup-rp", retention_policy="raw")
    assert outcomes(provision(settings))["retention policy raw"] == "made"
    assert '"setup-rp".raw.' in queries(influxd1, "setup-rp")["rollup_1m"]
    assert outcomes(provision(settings))["retention policy raw"] == "there"


def test_points_at_the_very_end_of_their_retention_are_accepted_by_both(influxd1: Influxd, tmp_path: Path) -> None:
    """The hub takes what is of the oldest partition; a duration cut to the second would refuse it."""
    keep = RetentionSettings(raw=2 * DAY_S, logs=2 * DAY_S)
    settings = settings_for(tmp_path, influxd1.url, "setup-edge", retention=keep)
    provision(settings)
    store = InfluxStore(target_of(settings.store.influx), retention=keep)
    oldest_s = (time.time() // DAY_S - 2) * DAY_S + 60 - NOON / 1e9

    async def body(store: Store) -> None:
        assert (await store.write([at(oldest_s, a=1.0)])).accepted == 1
        assert len((await samples(store))["a"]) == 1

    run(store, body)


def test_the_roll_ups_it_makes_are_the_ones_that_the_store_reads(influxd1: Influxd, tmp_path: Path) -> None:
    """Runs the SELECT of the continuous queries over all of time; the server itself would wait for the next hour."""
    settings = settings_for(tmp_path, influxd1.url, "setup-rolled", retention=RetentionSettings(raw=10_000 * DAY_S))
    provision(settings)
    target = target_of(settings.store.influx)

    async def fill(store: Store) -> None:
        await store.write([at(60 * i, a=float(i), door=i % 2 == 0, state="on") for i in range(300)])
        await store.write([line(i, f"log {i}") for i in range(300)])

    async def look(store: Store) -> None:
        assert (await windows(store, 3600, Fn.MEAN, field="a"))["a"] == {3600 * h: 60 * h + 29.5 for h in range(5)}

    run(InfluxStore(target, clock_ns=lambda: NOON + 10**13), fill)
    aim = wanted(settings.store)
    for rollup in aim.rollups:
        influxd1.ask(rolled_up(aim, rollup, "autogen", f"WHERE time >= 0 AND time < {NOON + 10**14} "), "setup-rolled")
    assert influxd1.ask("SELECT count(count_a) FROM rollup_1m.room", "setup-rolled")[0]["values"][0][1] == 300
    assert influxd1.ask("SELECT * FROM rollup_1m.log", "setup-rolled") == []
    run(InfluxStore(target, clock_ns=lambda: NOON + 10**13), look)


def test_a_field_that_is_a_number_here_and_a_text_there_does_not_stop_the_roll_up(
    influxd1: Influxd, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path, influxd1.url, "setup-mixed", retention=RetentionSettings(raw=10_000 * DAY_S))
    provision(settings)
    influxd1.write("setup-mixed", f'a,node=x state=1 {NOON}\nb,node=x state="on" {NOON}\nlogs,node=x l=2 {NOON}')
    aim = wanted(settings.store)
    influxd1.ask(rolled_up(aim, aim.rollups[-1], "autogen", "WHERE time > 0 "), "setup-mixed")
    (found,) = influxd1.ask("SELECT mean_state, count_state FROM rollup_1m.a", "setup-mixed")
    assert found["values"][0][1:] == [1, 1]
    assert influxd1.ask("SELECT mean_l FROM rollup_1m.logs", "setup-mixed") != []


# -- a server that asks who is there ----------------------------------------------------------------------------------


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Influxd]:
    server = Influxd(tmp_path / "guarded", http="  auth-enabled = true")
    if server.generation > 1:
        pytest.skip("2.x has tokens alone")
    with server:
        yield server


def ask_as(server: Influxd, user: str, password: str, query: str, database: str = "iot") -> httpx.Response:
    return httpx.post(
        f"{server.url}/query", params={"db": database}, data={"q": query}, auth=(user, password), timeout=60
    )


def test_a_server_without_anybody_gets_an_administrator_a_writer_and_a_reader(guarded: Influxd, tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "var", guarded.url, "iot")
    steps = provision(settings)
    found = outcomes(steps)
    names = ("administrator admin", "user iothub", "user grafana")
    assert [found[name] for name in names] == ["made", "made", "made"]
    secrets = {file.name: file for file in (tmp_path / "var" / "secrets").iterdir()}
    assert sorted(secrets) == ["influx-admin-password", "influx-grafana-password", "influx-hub-password"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in secrets.values()} == {0o600}
    said = " ".join(f"{step.what} {step.note}" for step in steps)
    assert not any(file.read_text().strip() in said for file in secrets.values())
    assert set(outcomes(provision(settings)).values()) == {"there"}


def test_the_writer_writes_and_reads_and_the_reader_only_reads(guarded: Influxd, tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "var", guarded.url, "iot")
    provision(settings)
    secrets = tmp_path / "var" / "secrets"
    with_user = {"username": "iothub", "password_file": secrets / "influx-hub-password"}
    target = target_of(settings.store.influx.model_copy(update=with_user))
    password = (secrets / "influx-grafana-password").read_text().strip()
    assert ask_as(guarded, "grafana", password, "SHOW MEASUREMENTS").status_code == 200
    refused = httpx.post(f"{guarded.url}/write?db=iot", content=b"m a=1", auth=("grafana", password), timeout=60)
    assert refused.status_code == 403
    assert ask_as(guarded, "grafana", password, "DROP DATABASE iot").status_code == 403
    hub = (secrets / "influx-hub-password").read_text().strip()
    assert (
        httpx.post(f"{guarded.url}/write?db=iot", content=b"m a=1", auth=("iothub", hub), timeout=60).status_code == 204
    )
    assert ask_as(guarded, "iothub", hub, "SELECT * FROM m").json()["results"][0]["series"][0]["name"] == "m"
    assert target.access.password == hub


def test_a_server_with_users_needs_an_administrators_password(guarded: Influxd, tmp_path: Path) -> None:
    guarded.ask("CREATE USER root WITH PASSWORD 'secret' WITH ALL PRIVILEGES")
    settings = settings_for(tmp_path / "var", guarded.url, "iot")
    with pytest.raises(SetupFailed, match="give an administrator's, with --admin NAME --admin-password-file FILE"):
        provision(settings)
    assert list((tmp_path / "var" / "secrets").iterdir()) == []
    file = tmp_path / "root-password"
    file.write_text("secret\n")
    asked = Asked(admin="root", admin_password_file=file)
    assert outcomes(provision(settings, asked))["administrator root"] == "there"
    file.write_text("wrong\n")
    with pytest.raises(SetupFailed, match="does not take 'root'"):
        provision(settings, asked)


def test_the_user_and_file_of_the_settings_are_the_ones_made(guarded: Influxd, tmp_path: Path) -> None:
    file = tmp_path / "hub-password"
    file.write_text("chosen by me\n")
    file.chmod(0o600)
    settings = settings_for(tmp_path / "var", guarded.url, "iot", username="me", password_file=file)
    assert outcomes(provision(settings))["user me"] == "made"
    assert ask_as(guarded, "me", "chosen by me", "SHOW MEASUREMENTS").status_code == 200


@pytest.mark.parametrize("held", [None, "not it"])
def test_a_user_whose_password_nobody_knows_is_a_failure_that_says_what_to_do(
    guarded: Influxd, tmp_path: Path, held: str | None
) -> None:
    settings = settings_for(tmp_path / "var", guarded.url, "iot")
    provision(settings)
    file = tmp_path / "var" / "secrets" / "influx-hub-password"
    file.unlink() if held is None else file.write_text(held)
    (failed,) = [step for step in provision(settings) if step.outcome == "failed"]
    assert failed.what == "user iothub"
    assert "put it there, or let a new one be made: DROP USER" in failed.note


def test_lost_rights_are_given_again(guarded: Influxd, tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "var", guarded.url, "iot")
    provision(settings)
    admin = (tmp_path / "var" / "secrets" / "influx-admin-password").read_text().strip()
    ask_as(guarded, "admin", admin, "REVOKE WRITE ON iot FROM iothub")
    (changed,) = [step for step in provision(settings) if step.outcome == "changed"]
    assert (changed.what, changed.note) == ("user iothub: read and write iot", "was read")


def test_a_server_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        provision(settings_for(tmp_path, "http://127.0.0.1:9", "iot"))


# -- without a server -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "expected"), [("744h0m0s", 744 * 3600), ("0s", 0), ("1h30m5s", 5405), ("90s", 90)])
def test_durations_are_read_as_1x_shows_them(text: str, expected: int) -> None:
    assert seconds(text) == expected


def test_durations_are_shown_in_days_where_they_are_whole() -> None:
    assert [shown(s) for s in (0, 31 * DAY_S, 36 * 3600)] == ["for ever", "31 d", "36 h"]


def test_statements_are_the_same_whatever_their_quotes_and_spaces() -> None:
    assert same_statement('SELECT  mean(*) INTO "a"."b"', "SELECT mean(*) INTO a.b;")
    assert not same_statement("SELECT mean(*)", "SELECT max(*)")
