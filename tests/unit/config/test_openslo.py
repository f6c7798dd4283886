"""OpenSLO that somebody else wrote: what is understood, what is said of the rest; nothing bad is more than that."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.loader import load_text
from proxy.config.openslo import read_openslo
from proxy.config.secrets import SecretSource

FOREIGN = """
apiVersion: openslo/v1
kind: SLO
metadata:
  name: foo-slo
  displayName: Foo SLO
spec:
  service: foo
  indicator:
    metadata: {name: foo-error, displayName: Foo Error}
    spec:
      ratioMetric:
        counter: true
        good: {metricSource: {type: Datadog, spec: {query: "sum:hits{http.status_code:200}.as_count()"}}}
        total: {metricSource: {type: Datadog, spec: {query: "sum:hits{*}.as_count()"}}}
  timeWindow: [{duration: 4w, isRolling: true}]
  budgetingMethod: Occurrences
  objectives:
    - {displayName: Foo Total Errors, target: 0.98}
    - {displayName: Bar Total Errors, targetPercent: 99.99}
---
apiVersion: openslo/v1
kind: AlertNotificationTarget
metadata: {name: x}
spec: {target: email}
"""


def slo(**spec: Any) -> str:
    usual = {"service": "s", "indicatorRef": "x", "budgetingMethod": "Occurrences", "objectives": [{"target": 0.99}]}
    document = {"apiVersion": "openslo/v1", "kind": "SLO", "metadata": {"name": "a"}, "spec": {**usual, **spec}}
    return yaml.safe_dump(document)


def test_somebody_elses_document() -> None:
    found = read_openslo(FOREIGN, "web")
    assert found.problems == []
    assert found.entries == [
        {"name": "foo-slo", "class": "web", "objective": "98%", "window": "28d"},
        {"name": "foo-slo-2", "class": "web", "objective": "99.99%", "window": "28d"},
    ]
    assert all("names no class; web is meant" in note for note in found.notes)


def test_what_is_printed_is_a_configuration() -> None:
    head = "version: 1\nbackends: [{url: http://h:1}]\nclasses: [{name: web}]\n"
    loaded = load_text(head + read_openslo(FOREIGN, "web").text(), "x.yaml", SecretSource({}, Path()))
    assert loaded.diagnostics == []
    assert loaded.config is not None
    assert [(one.name, one.objective, one.window) for one in loaded.config.slos] == [
        ("foo-slo", 0.98, 2419200.0),
        ("foo-slo-2", pytest.approx(0.9999), 2419200.0),
    ]


def threshold(query: str, op: str = "lte", value: float = 0.25) -> str:
    metric = {"metricSource": {"type": "Prometheus", "spec": {"query": query}}}
    indicator = {"metadata": {"name": "i"}, "spec": {"thresholdMetric": metric}}
    document = yaml.safe_load(slo(objectives=[{"target": 0.99, "op": op, "value": value}]))
    del document["spec"]["indicatorRef"]
    document["spec"]["indicator"] = indicator
    return yaml.safe_dump(document)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("tidegate_ttft_seconds", "ttft"),
        ("vllm:time_to_first_token_seconds", "ttft"),
        ("gen_ai.server.time_per_output_token", "tpot"),
        ("http_request_duration_seconds", "e2e"),
    ],
)
def test_a_threshold_of_times(query: str, name: str) -> None:
    found = read_openslo(threshold(query), "interactive")
    assert found.entries[0][name] == "250ms"
    assert any(f"taken for {name} in seconds" in note for note in found.notes)


def test_thresholds_that_are_none_here_are_said() -> None:
    found = read_openslo(threshold("up", "gte"), "interactive")
    assert found.entries[0].keys() == {"name", "class", "objective", "window"}
    assert any("not understood" in note for note in found.notes)


@pytest.mark.parametrize(
    ("spec", "note"),
    [
        ({"budgetingMethod": "Timeslices"}, "counts time slices"),
        ({"timeWindow": [{"duration": "1M", "calendar": {"startTime": "2020-01-21 12:30:00"}}]}, "a calendar's window"),
    ],
)
def test_what_is_lost_is_said(spec: dict[str, Any], note: str) -> None:
    found = read_openslo(slo(**spec), "interactive")
    assert len(found.entries) == 1
    assert any(note in line for line in found.notes)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "holds no SLO of OpenSLO v1"),
        ("---\n---\n", "holds no SLO of OpenSLO v1"),
        ("just text", "is no OpenSLO document"),
        ("- 1\n- 2\n", "is no OpenSLO document"),
        ("a: [", "is not YAML"),
        ("a: !!python/object/apply:os.system ['true']", "is not YAML"),
        ("a: 2020-99-99", "cannot be read: month"),
        ("[" * 5000, "32 levels"),
        ("a: &a [1]\nb: *a", "aliases"),
        ("kind: SLO\napiVersion: openslo/v2alpha\n", "must be of apiVersion openslo/v1"),
        ("kind: SLO\napiVersion: openslo/v1\n", "has no objectives"),
        ("kind: SLO\napiVersion: openslo/v1\nmetadata: 7\nspec: []\n", "has no objectives"),
        (slo(objectives=[]), "has no objectives"),
        (slo(objectives=[{}]), "objective must be"),
        (slo(objectives=[{"target": "high"}]), "objective must be"),
        (slo(objectives=[{"target": 1.0}]), "objective must be below 100%"),
        (slo(objectives=[{"target": 0}]), "objective must be above 0%"),
        (slo(objectives=[{"target": float("nan")}]), "objective must be"),
        (slo(timeWindow=[{"duration": "1Y", "isRolling": True}]), "window must be at most 92d"),
        (slo(timeWindow=[{"duration": "soon", "isRolling": True}]), "window must be a duration"),
        (slo() + "---\n" + slo(), "another one has this name"),
        (slo().replace("name: a", "name: not a name"), "name "),
    ],
)
def test_what_cannot_be_taken_is_said(text: str, why: str) -> None:
    found = read_openslo(text, "interactive")
    assert any(why in problem for problem in found.problems), found.problems


def test_there_is_an_end_to_it() -> None:
    found = read_openslo(slo(objectives=[{"target": 0.9} for _ in range(40)]), "interactive")
    assert len(found.entries) == 32
    assert len(found.problems) == 8


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.integers(),
    lambda inside: (
        st.lists(inside, max_size=3) | st.dictionaries(st.sampled_from(["name", "spec", "x"]), inside, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["objectives", "timeWindow", "indicator", "budgetingMethod"]), VALUES), VALUES)
def test_nothing_raises(spec: dict[str, Any], metadata: Any) -> None:
    document = {"apiVersion": "openslo/v1", "kind": "SLO", "metadata": metadata, "spec": spec}
    found = read_openslo(yaml.safe_dump(document), "interactive")
    assert found.problems or found.entries
