"""Every query of every panel, variable, annotation and alert rule is run against real servers, and finds rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from grafana.build import FOLDER
from tests.grafana.conftest import DEVICE
from tests.support.grafana import Range, found_values, influxql, panels, promql, variables
from tests.support.sources import ROOT

if TYPE_CHECKING:
    from tests.grafana.conftest import Filled
    from tests.support.grafana import Chosen, Json
    from tests.support.influx import VictoriaMetrics

DASHBOARDS: list[Json] = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))]
RULES: list[Json] = [
    rule
    for group in yaml.safe_load((ROOT / "grafana/provisioning/alerting/iothub.yaml").read_text())["groups"]
    for rule in group["rules"]
]


def targets(kind: str) -> list[Any]:
    """Every query of this kind of data source: dashboard, panel, target."""
    return [
        pytest.param(dashboard, panel, target, id=f"{dashboard['uid']}: {panel['title']} {target['refId']}")
        for dashboard in DASHBOARDS
        for panel in panels(dashboard)
        for target in panel["targets"]
        if target["datasource"]["type"] == kind
    ]


def chosen(dashboard: Json, **more: Chosen) -> dict[str, Chosen]:
    """What stands in each variable when the dashboard is opened, and what a person changed."""
    found: dict[str, Chosen] = {}
    for name, variable in variables(dashboard).items():
        current = variable["current"]["value"]
        found[name] = None if current == ["$__all"] else current
    return found | {name: value for name, value in more.items() if name in found}


def has_values(series: list[Json]) -> bool:
    return any(value is not None for each in series for row in each["values"] for value in row[1:])


def asked(filled: Filled, panel: Json, text: str, values: dict[str, Chosen], known: dict[str, Json]) -> list[Json]:
    during = Range(filled.during.start_ms, filled.during.stop_ms, panel.get("interval", "10s"))
    return filled.ask(influxql(text, during, values, known))


@pytest.mark.parametrize(("dashboard", "panel", "target"), targets("influxdb"))
def test_a_panel_finds_rows_of_all_nodes(dashboard: Json, panel: Json, target: Json, filled: Filled) -> None:
    series = asked(filled, panel, target["query"], chosen(dashboard), variables(dashboard))
    assert has_values(series), series


@pytest.mark.parametrize(("dashboard", "panel", "target"), targets("influxdb"))
def test_a_panel_of_two_nodes_shows_no_third(dashboard: Json, panel: Json, target: Json, filled: Filled) -> None:
    # rack-7xb would match rack-7.b if the point were not escaped; nobody has it, so nothing may be found.
    both, known = [filled.host, DEVICE], variables(dashboard)
    assert has_values(asked(filled, panel, target["query"], chosen(dashboard, node=both), known))
    assert not has_values(asked(filled, panel, target["query"], chosen(dashboard, node=["host", "rack-7xb"]), known))


@pytest.mark.parametrize(
    ("dashboard", "variable"),
    [
        pytest.param(dashboard, variable, id=f"{dashboard['uid']}: {variable['name']}")
        for dashboard in DASHBOARDS
        for variable in variables(dashboard).values()
        if variable["type"] == "query"
    ],
)
def test_a_variable_offers_values_and_the_one_it_starts_with(dashboard: Json, variable: Json, filled: Filled) -> None:
    text = influxql(variable["query"], filled.during, chosen(dashboard), variables(dashboard))
    offered = found_values(filled.ask(text))
    assert offered
    first = variable["current"]["value"]
    assert first == ["$__all"] or first in offered


def test_chained_variables_offer_only_what_the_chosen_node_has(filled: Filled) -> None:
    (dashboard,) = [dashboard for dashboard in DASHBOARDS if dashboard["uid"] == "iothub-host"]
    known = variables(dashboard)
    text = influxql(known["interface"]["query"], filled.during, chosen(dashboard, node=[DEVICE]), known)
    assert found_values(filled.ask(text)) == ["eth0"]


def test_the_explorer_shows_any_field_of_any_measurement(filled: Filled) -> None:
    (dashboard,) = [dashboard for dashboard in DASHBOARDS if dashboard["uid"] == "iothub-explorer"]
    known = variables(dashboard)
    for measurement, field, fn in (
        ("fan", "speed_rpm", "max"),
        ("battery", "plugged", "last"),
        ("alert", "state", "count"),
    ):
        values = chosen(dashboard, measurement=measurement, field=field, fn=fn)
        for panel in panels(dashboard):
            for target in panel["targets"]:
                assert has_values(asked(filled, panel, target["query"], values, known)), (measurement, panel["title"])


def test_every_way_to_sum_up_a_step_is_one_that_influxdb_has(filled: Filled) -> None:
    (dashboard,) = [dashboard for dashboard in DASHBOARDS if dashboard["uid"] == "iothub-explorer"]
    known = variables(dashboard)
    lines = next(iter(panels(dashboard)))
    for fn in known["fn"]["query"].split(","):
        series = asked(filled, lines, lines["targets"][0]["query"], chosen(dashboard, fn=fn), known)
        assert has_values(series), fn


def test_the_logs_are_searched_for_text_as_it_was_typed(filled: Filled) -> None:
    (dashboard,) = [dashboard for dashboard in DASHBOARDS if dashboard["uid"] == "iothub-logs"]
    known = variables(dashboard)
    (panel,) = [panel for panel in panels(dashboard) if panel["type"] == "logs"]
    for text, levels in (("[::1]:80 TIMED", {"error"}), ("link", {"info"}), ("nowhere", set())):
        values = chosen(dashboard, text=text, node=[DEVICE], source=["nginx", "kernel"])
        series = asked(filled, panel, panel["targets"][0]["query"], values, known)
        assert {row[2] for each in series for row in each["values"]} == levels


def test_the_first_text_column_of_the_logs_is_the_message(filled: Filled) -> None:
    (dashboard,) = [dashboard for dashboard in DASHBOARDS if dashboard["uid"] == "iothub-logs"]
    (panel,) = [panel for panel in panels(dashboard) if panel["type"] == "logs"]
    (series,) = asked(filled, panel, panel["targets"][0]["query"], chosen(dashboard), variables(dashboard))
    assert series["columns"] == ["time", "message", "level", "node", "source", "fields"]


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard["uid"])
def test_annotations_name_columns_that_their_query_gives(dashboard: Json, filled: Filled) -> None:
    for annotation in dashboard["annotations"]["list"]:
        if annotation.get("builtIn"):
            continue
        text = influxql(annotation["target"]["query"], filled.during, chosen(dashboard), variables(dashboard))
        (series,) = filled.ask(text)
        named = {annotation["titleColumn"], annotation["textColumn"], *annotation["tagsColumn"].split(",")}
        assert named <= set(series["columns"])


def test_alerts_are_those_that_the_hub_has_written(filled: Filled) -> None:
    (series,) = filled.ask("SELECT * FROM alert WHERE rule = 'too-hot'")
    (row,) = (dict(zip(series["columns"], values, strict=True)) for values in series["values"])
    of_it = {name: row[name] for name in ("node", "rule", "state", "severity", "change", "message")}
    assert of_it == {
        "node": DEVICE,
        "rule": "too-hot",
        "state": "firing",
        "severity": "warning",
        "change": "firing",
        "message": "48.5 °C",
    }
    assert row["series"].startswith("temperature.temperature_c{")
    assert row["id"] >= 1


def test_an_alert_is_drawn_as_an_annotation(filled: Filled) -> None:
    drawn = []
    for dashboard in DASHBOARDS:
        for annotation in dashboard["annotations"]["list"]:
            if annotation.get("builtIn"):
                continue
            text = influxql(annotation["target"]["query"], filled.during, chosen(dashboard), variables(dashboard))
            (series,) = filled.ask(text)
            rows = [dict(zip(series["columns"], values, strict=True)) for values in series["values"]]
            drawn += [(row[annotation["titleColumn"]], row[annotation["textColumn"]]) for row in rows]
    assert ("too-hot", "48.5 °C") in drawn


@pytest.mark.parametrize(("dashboard", "panel", "target"), targets("prometheus"))
def test_a_promql_query_finds_what_the_hub_says_at_metrics(
    dashboard: Json, panel: Json, target: Json, filled: Filled, victoria: tuple[VictoriaMetrics, int]
) -> None:
    del dashboard, panel
    assert instant(victoria, promql(target["expr"], filled.during)), target["expr"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["uid"])
def test_an_alert_rule_asks_for_something_that_is_there(
    rule: Json, filled: Filled, victoria: tuple[VictoriaMetrics, int]
) -> None:
    first = rule["data"][0]
    model = first["model"]
    if first["datasourceUid"] == "iothub-prometheus":
        assert instant(victoria, promql(model["expr"], filled.during))
    else:
        assert has_values(filled.ask(influxql(model["query"], filled.during, {}, {})))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["uid"])
def test_an_alert_rule_is_complete(rule: Json) -> None:
    steps = {step["refId"]: step for step in rule["data"]}
    assert rule["condition"] in steps
    assert rule["execErrState"] == "KeepLast"
    for step in steps.values():
        assert step["model"]["refId"] == step["refId"]
        assert step["datasourceUid"] in {"iothub-influxdb", "iothub-prometheus", "__expr__"}
        if step["datasourceUid"] == "__expr__":
            assert step["model"]["expression"] in steps
    assert len({other["uid"] for other in RULES}) == len(RULES)


def instant(victoria: tuple[VictoriaMetrics, int], expression: str) -> list[Json]:
    """The rows of the answer; AssertionError when the server cannot read the expression."""
    server, at_s = victoria
    answer = httpx.get(f"{server.url}/api/v1/query", params={"query": expression, "time": str(at_s)}, timeout=30)
    assert answer.is_success, answer.text
    found: list[Json] = answer.json()["data"]["result"]
    return found
