"""The committed dashboards are what the script builds, and what Grafana asks of dashboards that come from files."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from grafana.build import DASHBOARDS, FOLDER, stale
from grafana.dashboard import PREFIX, WIDTH
from grafana.model import INFLUXDB, PROMETHEUS
from tests.support.grafana import panels, variables
from tests.support.sources import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    Json = dict[str, Any]

GRAFANA = ROOT / "grafana"
FILES = sorted(FOLDER.glob("*.json"))
DATASOURCES = sorted((GRAFANA / "datasources").glob("*.yaml"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def dashboard(request: pytest.FixtureRequest) -> Json:
    found: Json = json.loads(request.param.read_text(encoding="utf-8"))
    return found


def sources(value: object) -> Iterator[tuple[str, str]]:
    """Type and uid of every data source that is named anywhere."""
    if isinstance(value, dict):
        if set(value) == {"type", "uid"}:
            yield value["type"], value["uid"]
        for below in value.values():
            yield from sources(below)
    elif isinstance(value, list):
        for below in value:
            yield from sources(below)


def test_the_committed_json_is_what_the_script_builds() -> None:
    assert stale() == [], "run: python -m grafana.build"


def test_every_dashboard_has_a_uid_of_its_own() -> None:
    uids = [dashboard.uid for dashboard in DASHBOARDS]
    assert len(set(uids)) == len(uids)
    assert all(re.fullmatch(rf"{PREFIX}[a-z-]{{1,30}}", uid) for uid in uids)


def test_a_dashboard_has_no_id_of_an_instance_and_an_old_schema(dashboard: Json) -> None:
    assert "id" not in dashboard
    assert "__inputs" not in dashboard
    assert dashboard["schemaVersion"] == 39
    assert dashboard["version"] >= 1


def test_only_the_data_sources_with_a_fixed_uid_are_named(dashboard: Json) -> None:
    own = ("grafana", "-- Grafana --")
    assert set(sources(dashboard)) <= {(INFLUXDB.type, INFLUXDB.uid), (PROMETHEUS.type, PROMETHEUS.uid), own}


def test_panels_do_not_overlap_and_stay_within_the_width(dashboard: Json) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= WIDTH
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_every_panel_has_a_title_and_asks_for_something(dashboard: Json) -> None:
    for panel in panels(dashboard):
        assert panel["title"]
        refs = [target["refId"] for target in panel["targets"]]
        assert refs
        assert len(set(refs)) == len(refs)


def test_variables_with_several_values_stand_only_in_regular_expressions(dashboard: Json) -> None:
    several = {name for name, variable in variables(dashboard).items() if variable.get("multi")}
    texts = [target["query"] for panel in panels(dashboard) for target in panel["targets"] if "query" in target]
    texts += [variable["query"] for variable in variables(dashboard).values() if variable["type"] == "query"]
    for text in texts:
        for name in several:
            used = re.findall(rf"\$\{{?{name}\b", text)
            assert len(used) == len(re.findall(rf"=~ /\^\$\{{{name}:regex\}}\$/", text)), text


def test_every_dashboard_shows_alerts_but_that_of_the_hub_itself(dashboard: Json) -> None:
    names = [annotation["name"] for annotation in dashboard["annotations"]["list"]]
    assert ("Alerts" in names) == (dashboard["uid"] != "iothub-health")


@pytest.mark.parametrize("path", DATASOURCES, ids=lambda path: path.stem)
def test_a_data_source_has_the_uid_that_the_dashboards_name(path: Any) -> None:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert document["apiVersion"] == 1
    (source,) = document["datasources"]
    assert (source["type"], source["uid"]) in {
        (INFLUXDB.type, INFLUXDB.uid),
        (PROMETHEUS.type, PROMETHEUS.uid),
        ("prometheus", "iothub-victoria"),
    }
    assert source["access"] == "proxy"
    assert "database" not in source, "deprecated: jsonData.dbName"
    if source["type"] == "influxdb":
        assert source["jsonData"]["dbName"]
        assert source["jsonData"]["timeInterval"] == "10s"


@pytest.mark.parametrize("path", DATASOURCES, ids=lambda path: path.stem)
def test_no_secret_stands_in_a_data_source(path: Any) -> None:
    (source,) = yaml.safe_load(path.read_text(encoding="utf-8"))["datasources"]
    for value in source.get("secureJsonData", {}).values():
        assert re.fullmatch(r"(Token )?\$__file\{/run/secrets/[a-z-]+\}", value)


def test_dashboards_come_from_files_and_cannot_be_saved_over() -> None:
    text = (GRAFANA / "provisioning" / "dashboards" / "iothub.yaml").read_text(encoding="utf-8")
    (provider,) = yaml.safe_load(text)["providers"]
    assert (provider["type"], provider["allowUiUpdates"]) == ("file", False)
