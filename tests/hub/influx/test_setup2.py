"""Provisioning of 2.x and 3.x: of a real 2.x where the tests are given one, else of the documented API in memory."""

from __future__ import annotations

import asyncio
import stat
from typing import TYPE_CHECKING, Any

import pytest

from hub.config import RetentionSettings, StoreSettings
from hub.influx.flux import made_once, quoted, task
from hub.influx.setup import Asked, set_up
from hub.influx.steps import SetupFailed, Step
from hub.influx.wanted import wanted
from hub.paths import StatePaths
from hub.store.influx import InfluxStore
from hub.store.influx_http import Access
from hub.store.influx_target import Target
from tests.support.influx import Influxd
from tests.support.influx_api import Api2, Api3
from tests.support.provisioned import outcomes, provision, settings_for
from tests.support.scripted_http import ScriptedServer
from tests.support.stores import NOON, at, run, samples

if TYPE_CHECKING:
    from pathlib import Path

    from hub.store.base import Store

EVERYTHING_2 = [
    "first set-up",
    "bucket iot",
    "bucket iot/rollup_1h",
    "bucket iot/rollup_1m",
    "DBRP mapping iot, autogen",
    "DBRP mapping iot, rollup_1h",
    "DBRP mapping iot, rollup_1m",
    "task iothub iot rollup_1h",
    "task iothub iot rollup_1m",
    "token of iothub",
    "token of grafana",
]


def set_up_at(api: Api2 | Api3, state: Path, asked: Asked | None = None, **influx: Any) -> list[Step]:
    async def main() -> list[Step]:
        async with ScriptedServer(api.answer).running() as server:
            settings = settings_for(state, server.url, "iot", **influx)
            return [step async for step in set_up(settings, StatePaths(state), asked or Asked())]

    return asyncio.run(main())


def secrets(state: Path) -> dict[str, str]:
    return {file.name: file.read_text().strip() for file in StatePaths(state).secrets.iterdir()}


# -- 2.x --------------------------------------------------------------------------------------------------------------


def test_a_2x_that_was_never_set_up_gets_everything(tmp_path: Path) -> None:
    api = Api2()
    found = outcomes(set_up_at(api, tmp_path, org="home"))
    made = {name: outcome for name, outcome in found.items() if outcome == "made"}
    # The first set-up makes the bucket along the way.
    assert [name for name in EVERYTHING_2 if name not in made] == ["bucket iot"]
    assert found["bucket iot"] == "there"
    assert [org["name"] for org in api.orgs] == ["home"]
    assert {each["name"]: each["retentionRules"][0]["everySeconds"] for each in api.buckets} == {
        "iot": 31 * 86_400,
        "iot/rollup_1h": (5 * 365 + 28) * 86_400,
        "iot/rollup_1m": (365 + 7) * 86_400,
    }
    assert [(each["retention_policy"], each["default"]) for each in api.dbrps] == [
        ("autogen", True),
        ("rollup_1h", False),
        ("rollup_1m", False),
    ]


def test_the_tokens_of_2x_have_the_rights_they_need_and_no_others(tmp_path: Path) -> None:
    api = Api2()
    steps = set_up_at(api, tmp_path, org="home")
    hub, grafana = api.authorizations[1:]
    names = {each["id"]: each["name"] for each in api.buckets}
    rights = [sorted((p["action"], names[p["resource"]["id"]]) for p in each["permissions"]) for each in (hub, grafana)]
    every = sorted(names.values())
    assert rights[0] == sorted((action, name) for action in ("read", "write") for name in every)
    assert rights[1] == [("read", name) for name in every]
    kept = secrets(tmp_path)
    assert (kept["influx-hub-token"], kept["influx-grafana-token"]) == (hub["token"], grafana["token"])
    assert kept["influx-admin-token"] == api.authorizations[0]["token"]
    modes = {stat.S_IMODE(file.stat().st_mode) for file in StatePaths(tmp_path).secrets.iterdir()}
    assert modes == {0o600}
    said = " ".join(f"{step.what} {step.note}" for step in steps)
    assert not any(secret in said for secret in kept.values())


def test_a_second_run_on_2x_changes_nothing(tmp_path: Path) -> None:
    api = Api2()
    set_up_at(api, tmp_path, org="home")
    before = list(api.changes), secrets(tmp_path)
    assert set(outcomes(set_up_at(api, tmp_path, org="home")).values()) == {"there"}
    assert (api.changes, secrets(tmp_path)) == before


def test_a_2x_that_somebody_set_up_needs_a_token_that_may_do_everything(tmp_path: Path) -> None:
    api = Api2()
    set_up_at(api, tmp_path / "other", org="home")
    with pytest.raises(SetupFailed, match="give a token that may do everything, with --admin-token-file FILE"):
        set_up_at(api, tmp_path / "ours", org="home")
    file = StatePaths(tmp_path / "other").secrets / "influx-admin-token"
    found = outcomes(set_up_at(api, tmp_path / "ours", Asked(admin_token_file=file), org="home"))
    assert {name for name, outcome in found.items() if outcome == "made"} == {"token of iothub", "token of grafana"}


def test_an_organisation_that_does_not_exist_is_named_with_those_that_do(tmp_path: Path) -> None:
    api = Api2()
    set_up_at(api, tmp_path, org="home")
    with pytest.raises(SetupFailed, match=r"store.influx.org = 'away' is no organisation .* has: home"):
        set_up_at(api, tmp_path, org="away")


def test_the_only_organisation_is_taken_and_the_settings_are_told(tmp_path: Path) -> None:
    steps = set_up_at(Api2(), tmp_path)
    assert [step.note for step in steps if step.what == "organisation iothub"] == ['the settings need org = "iothub"']


def test_a_bucket_that_keeps_longer_is_left_unless_asked(tmp_path: Path) -> None:
    api = Api2()
    set_up_at(api, tmp_path, org="home")
    api.buckets[0]["retentionRules"] = []
    assert outcomes(set_up_at(api, tmp_path, org="home"))["bucket iot"] == "left"
    assert api.buckets[0]["retentionRules"] == []
    assert outcomes(set_up_at(api, tmp_path, Asked(shorten=True), org="home"))["bucket iot"] == "changed"
    assert api.buckets[0]["retentionRules"][0]["everySeconds"] == 31 * 86_400


def test_a_mapping_to_another_bucket_is_a_failure(tmp_path: Path) -> None:
    """What Grafana users meet as "database not found" (or as an empty one)."""
    api = Api2()
    set_up_at(api, tmp_path, org="home")
    api.dbrps[0]["bucketID"] = api.buckets[1]["id"]
    (failed,) = [step for step in set_up_at(api, tmp_path, org="home") if step.outcome == "failed"]
    assert failed.what == "DBRP mapping iot, autogen"
    assert "leads to another bucket" in failed.note


@pytest.mark.parametrize("change", [{"flux": "from(bucket: 1)"}, {"status": "inactive"}])
def test_a_task_that_is_another_one_or_asleep_is_set_right(tmp_path: Path, change: dict[str, str]) -> None:
    api = Api2()
    set_up_at(api, tmp_path, org="home")
    api.tasks[0].update(change)
    assert outcomes(set_up_at(api, tmp_path, org="home"))["task iothub iot rollup_1h"] == "changed"
    assert (api.tasks[0]["status"], "fn: mean" in api.tasks[0]["flux"]) == ("active", True)


def test_a_token_that_was_revoked_is_a_failure_that_says_what_to_do(tmp_path: Path) -> None:
    api = Api2()
    set_up_at(api, tmp_path, org="home")
    api.authorizations.pop()
    (failed,) = [step for step in set_up_at(api, tmp_path, org="home") if step.outcome == "failed"]
    assert failed.what == "token of grafana: read iot"
    assert "remove it, and run this again" in failed.note


def test_a_real_2x_is_set_up_from_nothing_and_the_hub_can_work(tmp_path: Path) -> None:
    server = Influxd(tmp_path / "server")
    if server.generation == 1:
        pytest.skip("this influxd is 1.x; IOTHUB_TEST_INFLUXD names another")
    server._is_set_up = True  # by nobody: that is what is tested
    with server:
        keep = RetentionSettings(raw=10_000 * 86_400.0)
        settings = settings_for(tmp_path / "var", server.url, "iot", org="home", retention=keep)
        assert outcomes(provision(settings))["first set-up"] == "made"
        assert set(outcomes(provision(settings)).values()) == {"there"}
        token = secrets(tmp_path / "var")["influx-hub-token"]

        async def body(store: Store) -> None:
            await store.write([at(0, a=1.0)])
            assert await samples(store) == {"a": {0: 1.0}}

        run(InfluxStore(Target(Access(server.url, token), "iot", "home"), clock_ns=lambda: NOON), body)


# -- 3.x --------------------------------------------------------------------------------------------------------------


def test_a_3x_that_was_never_set_up_gets_a_token_and_a_database_and_says_what_is_missing(tmp_path: Path) -> None:
    api = Api3()
    steps = set_up_at(api, tmp_path)
    found = outcomes(steps)
    assert found == {
        "admin token": "made",
        "database iot": "made",
        "token of the hub": "made",
        "token of grafana, to read only": "not done",
        "database iot/rollup_1h": "made",
        "database iot/rollup_1m": "made",
    }
    assert api.databases == {"iot": "744h", "iot/rollup_1h": "44472h", "iot/rollup_1m": "8928h"}
    assert secrets(tmp_path) == {"influx-admin-token": "apiv3_test", "influx-hub-token": "apiv3_test"}
    assert "apiv3_test" not in " ".join(step.note for step in steps)
    before = list(api.changes)
    assert {outcomes(set_up_at(api, tmp_path))[name] for name in ("database iot", "token of the hub")} == {"there"}
    assert api.changes == before


def test_a_3x_with_an_admin_token_that_we_do_not_have_says_so(tmp_path: Path) -> None:
    api = Api3()
    api.token = "somebody's"
    with pytest.raises(SetupFailed, match="has an admin token already: give it with --admin-token-file FILE"):
        set_up_at(api, tmp_path)
    with pytest.raises(SetupFailed, match="answered 401"):
        set_up_at(api, tmp_path, token="wrong")


def test_a_3x_that_lets_everybody_in_gets_databases_alone(tmp_path: Path) -> None:
    api = Api3(asks=False)
    assert outcomes(set_up_at(api, tmp_path)) == {
        "database iot": "made",
        "database iot/rollup_1h": "made",
        "database iot/rollup_1m": "made",
        "tokens": "not done",
    }
    assert secrets(tmp_path) == {}


# -- Flux -------------------------------------------------------------------------------------------------------------


def test_a_task_makes_every_aggregate_of_numbers_into_the_bucket_that_the_store_reads() -> None:
    aim = wanted(StoreSettings(retention=RetentionSettings()))
    minute = next(each for each in aim.rollups if each.name == "rollup_1m")
    program = task(aim, minute)
    for fn in ("count", "sum", "min", "max", "first", "last", "mean"):
        assert f'made(name: "{fn}", fn: {fn})' in program
    assert 'to(bucket: "iot/rollup_1m")' in program
    assert 'timeSrc: "_start"' in program
    assert "every: 1m" in program
    assert "range(start: 1970-01-01T00:00:00Z, stop: 1970-01-01T01:00:00Z)" in made_once(aim, minute, 0, 3600 * 10**9)


def test_names_cannot_leave_the_quotes_of_flux() -> None:
    assert quoted('a"b\\c\n${d}') == '"a\\"b\\\\c\\n\\${d}"'
