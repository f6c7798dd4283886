"""The dashboards that Grafana imports: whole, readable, and of what the proxy has. Whether each query has data:
`test_dashboards_live.py`."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.obs.dashboards import dashboards
from proxy.obs.monitoring.queries import drawn, metrics

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"
NAMES = [one.uid for one in dashboards()]
UNITS = {"none", "short", "s", "bytes", "percentunit", "reqps", "cps", "Bps"}
"""Of Grafana's: those that are used; each of them is in its list of units (`valueFormats`)."""
KINDS = {"timeseries", "stat", "state-timeline", "table", "row"}
OF_GRAFANA = {"__rate_interval", "__range", "datasource"}
GROUPED = re.compile(r"by \(([a-z_, ]+)\)")
NOT_DRAWN = {
    "process_start_time_seconds": "of whole fleets: changes of it are restarts",
    "process_virtual_memory_bytes": "resident memory is what is bounded",
    "python_gc_collections_total": "of the interpreter: the lag of the event loop shows what they cost",
    "python_gc_objects_collected_total": "of the interpreter",
    "python_gc_objects_uncollectable_total": "of the interpreter",
    "python_info": "of the interpreter",
    "tidegate_backend_quota_requests": "of few backends: `tidegate backends` shows what is left",
    "tidegate_backend_quota_tokens": "of few backends: `tidegate backends` shows what is left",
    "tidegate_config_file_info": "a hash is compared, not drawn; tidegate_config_info tells that proxies differ",
    "tidegate_config_last_reload_timestamp_seconds": "it is the annotation of every dashboard",
    "tidegate_config_reloads_merged_total": "of no consequence: they had what they asked for",
    "tidegate_goodput_ratio": "since the start: drawn as rates of its two counters",
    "tidegate_pool_false_refusal_ratio": "since the start: drawn as rates of its two counters",
    "tidegate_slo_attainment": "since the start: drawn as rates of tidegate_slo_requests_total",
    "tidegate_slo_attainment_ratio": "the budget that is left says it in one number",
    "tidegate_slo_bad_events_total": "for recording rules (tidegate slo rules)",
    "tidegate_slo_events_total": "for recording rules (tidegate slo rules)",
    "tidegate_slo_exhausted_in_seconds": "infinite while all is well, which no axis has room for",
    "tidegate_slo_good_events_total": "for recording rules (tidegate slo rules)",
    "tidegate_slo_objective_ratio": "for recording rules (tidegate slo rules)",
    "tidegate_slo_promise_attainment": "since the start: drawn as rates of its two counters",
    "tidegate_stage_cache_hit_ratio": "since the start: drawn as rates of tidegate_stage_cache_lookups_total",
    "tidegate_stored_known": "bounded by limits.stored: lookups that find nothing tell when that is too little",
    "tidegate_truncated_requests_total": "of a wrong setting: the log says it once, with what to do",
    "tidegate_tasks": "for whoever looks for a leak",
}


def dashboard(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text())


def panels(name: str) -> list[Any]:
    return [panel for panel in dashboard(name)["panels"] if panel["type"] != "row"]


def targets(name: str) -> list[Any]:
    return [target for panel in panels(name) for target in panel["targets"]]


def test_there_are_no_others_and_the_one_to_begin_with_is_shown_first(deploy: Path) -> None:
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(NAMES)
    grafana = yaml.safe_load((deploy / "compose.yaml").read_text())["services"]["grafana"]
    assert grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].endswith(f"/{NAMES[0]}.json")


def test_every_metric_is_drawn_or_left_out_for_a_reason() -> None:
    shown = {known.name for name in NAMES for target in targets(name) for known in drawn(target["expr"])}
    assert sorted(set(metrics()) - shown) == sorted(NOT_DRAWN)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_what_grafana_imports(name: str) -> None:
    found = dashboard(name)
    assert (found["uid"], found["schemaVersion"]) == (name, 39)
    assert len(name) <= 40  # longer ones it refuses
    ids = [panel["id"] for panel in found["panels"]]
    assert len(set(ids)) == len(ids)
    assert {panel["type"] for panel in found["panels"]} <= KINDS
    for panel in panels(name):
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"] in UNITS
        assert defaults["thresholds"]["steps"][0]["value"] is None
        letters = [target["refId"] for target in panel["targets"]]
        assert letters == [chr(ord("A") + at) for at in range(len(letters))]
        assert letters


@pytest.mark.parametrize("name", NAMES)
def test_no_panel_covers_another_and_none_leaves_the_grid(name: str) -> None:
    places = [panel["gridPos"] for panel in dashboard(name)["panels"]]
    for place in places:
        assert place["w"] > 0
        assert place["h"] > 0
        assert 0 <= place["x"] <= 24 - place["w"]
    for a, b in combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        assert beside or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_says_how_it_is_read(name: str) -> None:
    titles = [panel["title"] for panel in panels(name)]
    assert len(set(titles)) == len(titles)
    for panel in panels(name):
        reads = panel["description"].partition("\n")[0]
        assert reads.endswith("."), panel["title"]
        for target in panel["targets"]:
            for known in drawn(target["expr"]):
                assert known.text in panel["description"]


@pytest.mark.parametrize("name", NAMES)
def test_legends_name_labels_that_survive_the_sum(name: str) -> None:
    for panel in panels(name):
        for target in panel["targets"] if panel["type"] != "table" else []:
            kept = {label.strip() for group in GROUPED.findall(target["expr"]) for label in group.split(",")}
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) == kept - {"le"}, panel["title"]


@pytest.mark.parametrize("name", NAMES)
def test_it_asks_the_chosen_data_source_for_what_its_variables_choose(deploy: Path, name: str) -> None:
    found = dashboard(name)
    variables = found["templating"]["list"]
    asked = [
        item["datasource"] for item in (*panels(name), *targets(name), *variables[1:], *found["annotations"]["list"])
    ]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in asked)
    assert (variables[0]["name"], variables[0]["type"]) == ("datasource", "datasource")
    assert "type: prometheus\n" in (deploy / "grafana/provisioning/datasources/prometheus.yaml").read_text()
    known = {variable["name"] for variable in variables}
    used: set[str] = set()
    for target in targets(name):
        names = set(re.findall(r"\$(\w+)", target["expr"]))
        assert names <= known | OF_GRAFANA
        used |= names
        assert "rate(" not in target["expr"] or "[$__rate_interval]" in target["expr"] or "[5m]" in target["expr"]
        assert "$instance" in target["expr"]
    assert known - {"datasource"} <= used
