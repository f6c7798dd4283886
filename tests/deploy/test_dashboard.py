"""Every series and label the Grafana dashboard draws is one the proxy gives."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.fake_backend import FakeBackend
from tests.support.proxy_process import Metrics, ProxyProcess

SERIES = re.compile(r"\b(?:tidegate|process)_[a-z0-9_]+")
GROUPED = re.compile(r"by \(([a-z_, ]+)\)")
MATCHED = re.compile(r"([a-z_]+)!?=\"")
FROM_PROMETHEUS = {"job", "instance"}


@pytest.fixture(scope="module")
def dashboard() -> Any:
    path = Path(__file__).parents[2] / "deploy/grafana/dashboards/tidegate.json"
    return json.loads(path.read_text())


@pytest.fixture
def metrics(proxy: ProxyProcess, engine: FakeBackend) -> Metrics:
    """What a proxy exposes that has served a stream."""
    body = {"model": engine.models[0], "stream": True, "messages": [{"role": "user", "content": "hello"}]}
    assert proxy.ask("POST", "/v1/chat/completions", body).status == 200
    return proxy.metrics()


def expressions(dashboard: Any) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_every_series_and_label_exists(dashboard: Any, metrics: Metrics) -> None:
    families = text_string_to_metric_families(metrics.text)
    labels = {sample.name: set(sample.labels) for family in families for sample in family.samples}
    drawn = expressions(dashboard)
    assert len(drawn) > 10
    for expression in drawn:
        (name,) = set(SERIES.findall(expression))
        assert name in labels, f"{name} is not exposed"
        asked = {label.strip() for group in GROUPED.findall(expression) for label in group.split(",")}
        asked |= set(MATCHED.findall(expression)) - FROM_PROMETHEUS
        assert asked <= labels[name], expression


def test_legends_name_labels_that_survive_the_sum(dashboard: Any) -> None:
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            kept = {label.strip() for group in GROUPED.findall(target["expr"]) for label in group.split(",")}
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept


def test_it_asks_the_provisioned_data_source(deploy: Path, dashboard: Any) -> None:
    provisioned = (deploy / "grafana/provisioning/datasources/prometheus.yaml").read_text()
    asked = {target["datasource"]["uid"] for panel in dashboard["panels"] for target in panel["targets"]}
    assert asked == {"prometheus"}
    assert "uid: prometheus\n" in provisioned
