"""compose.yaml by the schema of the Compose Specification, and what it names: files, settings, commands."""

from __future__ import annotations

import json
import re
import shlex
import stat
import subprocess
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import typer.main
import yaml

import agent.config
import dashboard.config
import hub.config
from hub.cli.app import app
from tests.support.compose import FILE, PROFILES, compose, environment, services, variables_of
from tests.support.sources import ROOT
from wire.settings import load

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.compose import Json

SCHEMA = ROOT / "tests" / "data" / "compose-spec" / "compose-spec.json"
INIT = {"influx1-init", "influx2-init", "influx3-init"}
OURS = {"broker-init", "victoria-init", "hub", "agent", "dashboard", *INIT}
ONE_SHOT = {"broker-init", "victoria-init", *INIT}


def run_with(profile: str) -> dict[str, Json]:
    return services({"COMPOSE_PROFILES": profile})


def every_service() -> list[Any]:
    return [
        pytest.param(profile, name, id=f"{profile}: {name}")
        for profile in PROFILES
        for name in sorted(run_with(profile))
    ]


def mounts(service: Json) -> dict[str, str]:
    """Where each mount goes, and what it is: a named volume, or a path that begins with a dot."""
    pairs = [volume.split(":") for volume in service.get("volumes", [])]
    return {target: source for source, target, *_ in pairs}


def test_it_is_valid_by_the_compose_specification() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(compose({"COMPOSE_PROFILES": "influx2"}))


def test_the_schema_would_find_a_misspelt_key() -> None:
    model = compose({"COMPOSE_PROFILES": "influx2"})
    model["services"]["hub"]["depend_on"] = {}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(model)


def test_the_default_is_influxdb_2() -> None:
    assert variables_of((ROOT / ".env").read_text(encoding="utf-8")) == {"COMPOSE_PROFILES": "influx2"}


@pytest.mark.parametrize("profile", PROFILES)
def test_each_profile_has_one_database_at_the_address_that_all_use(profile: str) -> None:
    databases = [
        name for name, service in run_with(profile).items() if "database" in json.dumps(service.get("networks", ""))
    ]
    assert databases == [profile]


@pytest.mark.parametrize(("profile", "name"), every_service())
def test_no_service_runs_as_root_or_keeps_rights(profile: str, name: str) -> None:
    service = run_with(profile)[name]
    assert str(service["user"]).split(":")[0] not in {"", "0", "root"}
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")


@pytest.mark.parametrize(("profile", "name"), every_service())
def test_the_version_of_each_image_is_pinned(profile: str, name: str) -> None:
    tag = run_with(profile)[name]["image"].rpartition(":")[2]
    assert re.fullmatch(r"v?\d+\.\d+\.\d+(-core)?", tag), tag


def test_only_chosen_ports_are_published_and_on_this_machine_alone() -> None:
    published = {name: service["ports"] for name, service in run_with("influx2").items() if "ports" in service}
    assert published == {
        "mosquitto": ["127.0.0.1:1883:1883"],
        "hub": ["127.0.0.1:8080:8080"],
        "dashboard": ["127.0.0.1:8501:8501"],
        "grafana": ["127.0.0.1:3000:3000"],
    }


@pytest.mark.parametrize("profile", PROFILES)
def test_the_database_is_reached_by_hub_grafana_and_prometheus_only(profile: str) -> None:
    model = compose({"COMPOSE_PROFILES": profile})
    assert model["networks"]["data"] == {"internal": True}
    on_it = {name for name, service in run_with(profile).items() if "data" in service.get("networks", [])}
    assert on_it - INIT == {profile, "hub", "grafana", "prometheus"}
    assert on_it & INIT == {f"{profile}-init"} & INIT


@pytest.mark.parametrize("profile", PROFILES)
def test_what_must_be_there_first_is_waited_for(profile: str) -> None:
    running, every = run_with(profile), compose({"COMPOSE_PROFILES": profile})["services"]
    for name, service in running.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in every
            if other not in running:
                assert how["required"] is False, f"{name} needs {other}, which this profile leaves out"
            elif how["condition"] == "service_healthy":
                assert "healthcheck" in every[other], f"{name} waits for the health of {other}"
            elif how["condition"] == "service_completed_successfully":
                assert every[other]["restart"] == "no"
    assert running["hub"]["depends_on"][profile]["condition"] == "service_healthy"


@pytest.mark.parametrize("profile", PROFILES)
def test_everything_that_goes_on_is_looked_after(profile: str) -> None:
    for name, service in run_with(profile).items():
        if name not in ONE_SHOT:
            assert service["restart"] == "unless-stopped"
            assert name == "agent" or service["healthcheck"]["test"][0] == "CMD", name


@pytest.mark.parametrize(("profile", "name"), every_service())
def test_every_mounted_file_volume_and_secret_is_there(profile: str, name: str, tmp_path: Path) -> None:
    model, service = compose({"COMPOSE_PROFILES": profile}), run_with(profile)[name]
    for target, source in mounts(service).items():
        assert target.startswith("/")
        assert (ROOT / source).exists() if source.startswith(".") else source in model["volumes"], source
    made = made_secrets(tmp_path)
    for secret in service.get("secrets", []):
        assert model["secrets"][secret] == {"file": f"./secrets/{secret}"}
        assert secret in made
    given = {f"/run/secrets/{secret}" for secret in service.get("secrets", [])}
    named = set(re.findall(r"/run/secrets/[\w-]+", json.dumps([service, environment(service)])))
    for source in mounts(service).values():
        if (ROOT / source).is_file():
            named |= set(re.findall(r"/run/secrets/[\w-]+", (ROOT / source).read_text(encoding="utf-8")))
    assert named <= given


def test_what_an_administrator_knows_only_those_who_set_up_know() -> None:
    for name, service in compose({"COMPOSE_PROFILES": "influx2"})["services"].items():
        of_influxdb = {secret for secret in service.get("secrets", []) if secret.startswith("influx-admin")}
        assert not of_influxdb or name in INIT, name


def test_no_volume_is_left_over() -> None:
    model = compose({"COMPOSE_PROFILES": "influx2"})
    used = {source for service in model["services"].values() for source in mounts(service).values()}
    assert {source for source in used if not source.startswith(".")} == set(model["volumes"])


@pytest.mark.parametrize("profile", [profile for profile in PROFILES if profile != "victoria"])
def test_the_database_is_set_up_as_the_hub_will_use_it(profile: str) -> None:
    running = run_with(profile)
    assert running["hub"]["depends_on"][f"{profile}-init"]["condition"] == "service_completed_successfully"
    hub_settings, its = (
        load(hub.config.Settings, None, environ=environment(running[name])).store for name in ("hub", f"{profile}-init")
    )
    assert its == hub_settings


@pytest.mark.parametrize("profile", PROFILES)
def test_every_variable_of_the_hub_is_a_setting(profile: str) -> None:
    settings = load(hub.config.Settings, None, environ=environment(run_with(profile)["hub"]))
    assert settings.broker.mode is hub.config.BrokerMode.EXTERNAL
    assert "influx" in (settings.store.kind, *settings.store.also)
    assert settings.store.influx.url == "http://database:8086"


def test_every_variable_of_the_agent_is_a_setting() -> None:
    settings = agent.config.load_settings(None, environ=environment(run_with("influx2")["agent"]))
    assert settings.mqtt.username == settings.agent.node == "docker-host"


def test_the_dashboard_finds_the_hub_and_is_found_by_its_check() -> None:
    running, model = run_with("influx2"), compose({"COMPOSE_PROFILES": "influx2"})
    settings = dashboard.config.load_settings(None, environ=environment(running["dashboard"])).dashboard
    api = load(hub.config.Settings, None, environ=environment(running["hub"])).api
    assert (settings.api_url, settings.host) == (f"http://hub:{api.port}", "0.0.0.0")  # noqa: S104  of its container
    shared = {*running["hub"]["networks"]} & {*running["dashboard"]["networks"]}
    assert [model["networks"][name] for name in shared] == [{"internal": True}]
    assert f"http://127.0.0.1:{settings.port}/login" in running["dashboard"]["healthcheck"]["test"][-1]
    assert running["dashboard"]["ports"] == [f"127.0.0.1:8501:{settings.port}"]


def test_our_images_have_variables_of_ours_alone() -> None:
    for name in OURS:
        found = environment(compose({"COMPOSE_PROFILES": "influx2"})["services"][name])
        assert all(variable.startswith("IOTHUB_") for variable in found)


def test_every_command_of_our_image_exists() -> None:
    command = typer.main.get_command(app)
    for name in OURS - {"agent", "dashboard"}:
        words = compose({"COMPOSE_PROFILES": "victoria"})["services"][name]["command"]
        if words == ["--version"]:
            continue
        with command.make_context("iothub", list(words), resilient_parsing=True) as context:
            found = command.get_command(context, words[0])  # type: ignore[attr-defined]  # it is a group
            assert found is not None, words
        if words[0] in {"broker", "influx"}:
            inner = found.commands[words[1]]
            options = {option for parameter in inner.params for option in parameter.opts}
            assert {word for word in words if word.startswith("--")} <= options


def test_dashboards_lie_where_the_provider_and_the_start_page_look() -> None:
    grafana = run_with("influx2")["grafana"]
    provider = yaml.safe_load((ROOT / "grafana/provisioning/dashboards/iothub.yaml").read_text(encoding="utf-8"))
    path = provider["providers"][0]["options"]["path"]
    assert mounts(grafana)[path] == "./grafana/dashboards"
    home = environment(grafana)["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (ROOT / "grafana/dashboards" / home.removeprefix(f"{path}/")).is_file()


@pytest.mark.parametrize("profile", PROFILES)
def test_grafana_has_every_variable_that_its_data_sources_name(profile: str) -> None:
    grafana = run_with(profile)["grafana"]
    for target, source in mounts(grafana).items():
        if "datasources" in target:
            named = set(re.findall(r"\$\{(\w+)\}", (ROOT / source).read_text(encoding="utf-8")))
            assert named <= set(environment(grafana))


def test_the_build_copies_what_is_there_and_stops_at_targets_that_are_named() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        for source in shlex.split(line)[:-1]:
            assert (ROOT / source).exists()
            assert f"!{source}" in ignored, f"{source} does not reach the build"
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", text, re.MULTILINE))
    targets = {
        service["build"]["target"]
        for service in compose({"COMPOSE_PROFILES": "influx2"})["services"].values()
        if "build" in service
    }
    assert targets <= stages
    for stage in targets:
        assert "\nUSER 10001:10001\n" in text[text.index(f" AS {stage}\n") :]


def test_the_entry_points_of_the_images_are_programs_that_are_installed() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    scripts = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for program in re.findall(r'^ENTRYPOINT \["([\w-]+)"\]$', text, re.MULTILINE):
        assert f"\n{program} = " in scripts
    modules = re.findall(r'^ENTRYPOINT \["python", "-m", "(\w+)"\]$', text, re.MULTILINE)
    assert modules == ["dashboard"]
    assert all((ROOT / module / "__main__.py").is_file() for module in modules)


def made_secrets(folder: Path) -> set[str]:
    where = folder / "secrets"
    subprocess.run([ROOT / "scripts" / "secrets", where], check=True, capture_output=True, timeout=30)
    return {path.name for path in where.iterdir()}


def test_secrets_are_random_kept_and_closed_to_others(tmp_path: Path) -> None:
    names, where = made_secrets(tmp_path), tmp_path / "secrets"
    assert names == set(compose({"COMPOSE_PROFILES": "influx2"})["secrets"])
    before = {name: (where / name).read_text() for name in names}
    assert stat.S_IMODE(where.stat().st_mode) == 0o700
    assert len(set(before.values())) == len(before)
    assert all(len(text.strip()) == 32 for text in before.values())
    made_secrets(tmp_path)
    assert {name: (where / name).read_text() for name in names} == before


def test_secrets_never_reach_the_repository_or_an_image() -> None:
    assert "secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()[1] == "*"


def test_the_file_says_how_it_is_used() -> None:
    assert "scripts/secrets && docker compose up -d" in FILE.read_text(encoding="utf-8")
