"""The Helm chart: what helm renders of it is valid Kubernetes, safe, and fits the proxy."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.cli.main import main
from proxy.obs.monitoring.queries import metrics

helm = pytest.importorskip("helm_python", reason="no helm for this platform: the chart is not rendered")
kubernetes = pytest.importorskip("kubernetes_validate", reason="not installed: pip install kubernetes-validate")

VERSIONS = ["1.27", "1.30", "1.34", "1.37"]
OPERATOR = "monitoring.coreos.com/v1"
FULL: dict[str, Any] = {
    "imagePullSecrets": [{"name": "registry"}],
    "config": {
        "admin_key": "${TIDEGATE_ADMIN_KEY}",
        "auth": "keys",
        "tenants": [{"tenant": "platform", "keys": ["sha256:" + "5f" * 32]}],
    },
    "secrets": {"TIDEGATE_ADMIN_KEY": {"name": "tidegate", "key": "admin-key"}},
    "drain": {"preStop": 7, "readiness": 3, "streams": 90, "margin": 20},
    "service": {"type": "LoadBalancer", "annotations": {"a.example.com/b": "c"}},
    "podAnnotations": {"a.example.com/b": "c"},
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "llm", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "extraVolumes": [{"name": "state", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "state", "mountPath": "/var/lib/tidegate"}],
    "autoscaling": {"enabled": True},
    "engineAutoscaling": [
        {"name": "vllm", "kind": "StatefulSet", "pool": "main", "minReplicas": 1, "maxReplicas": 8, "utilisation": 0.7}
    ],
    "networkPolicy": {"clients": [{"podSelector": {}}], "egress": [{"to": [{"podSelector": {}}]}]},
    "serviceMonitor": {"enabled": True, "labels": {"release": "stack"}},
    "prometheusRule": {"enabled": True, "labels": {"release": "stack"}},
    "dashboards": {"enabled": True},
}
ALL = pytest.mark.parametrize("values", [{}, FULL], ids=["default", "full"])


def render(chart: Path, values: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """(kind, name) → manifest."""
    with helm.Chart.load(chart) as loaded:
        texts = loaded.render(values, name="tidegate", namespace="llm")
    found = [
        manifest
        for path, text in texts.items()
        if path.endswith(".yaml")
        for manifest in yaml.safe_load_all(text)
        if manifest
    ]
    named = {(one["kind"], one["metadata"]["name"]): one for one in found}
    assert len(named) == len(found)
    return named


@pytest.fixture(scope="module")
def chart(deploy: Path) -> Path:
    return deploy / "kubernetes"


def pod(manifests: dict[tuple[str, str], Any]) -> Any:
    return manifests["Deployment", "tidegate"]["spec"]["template"]["spec"]


@ALL
def test_helm_finds_nothing_wrong(chart: Path, values: dict[str, Any]) -> None:
    report = helm.lint(chart, values, strict=True)
    assert report["errors"] == []
    assert [one for one in report["messages"] if one["severity"] > 1] == []


@pytest.mark.parametrize("version", VERSIONS)
@ALL
def test_manifests_are_valid(chart: Path, values: dict[str, Any], version: str) -> None:
    manifests = render(chart, values)
    checked = [one for one in manifests.values() if one["apiVersion"] != OPERATOR]
    assert len(checked) >= 7
    for manifest in checked:
        kubernetes.validate(manifest, version, strict=True)


def test_the_validator_refuses(chart: Path) -> None:
    manifest = render(chart, {})["Deployment", "tidegate"]
    manifest["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes.ValidationError, match="readinesProbe"):
        kubernetes.validate(manifest, VERSIONS[-1], strict=True)


def test_what_is_optional_is_there_when_asked_for(chart: Path) -> None:
    more = {kind for kind, _ in render(chart, FULL)} - {kind for kind, _ in render(chart, {})}
    assert more == {"HorizontalPodAutoscaler", "ServiceMonitor", "PrometheusRule"}
    off = {"podDisruptionBudget": {"enabled": False}, "networkPolicy": {"enabled": False}}
    assert {kind for kind, _ in render(chart, off)} == {"ConfigMap", "ServiceAccount", "Service", "Deployment"}


@pytest.mark.parametrize(
    ("values", "how"),
    [({}, []), (FULL, ["--strict"])],  # without an admin_key there is a warning: the NetworkPolicy keeps others out
    ids=["default", "full"],
)
def test_its_configuration_is_right(
    chart: Path, values: dict[str, Any], how: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_ADMIN_KEY", "a-key-of-24-characters-and-more")
    manifests = render(chart, values)
    file = tmp_path / "routing.yaml"
    file.write_text(manifests["ConfigMap", "tidegate"]["data"]["routing.yaml"])
    assert main(["check", *how, str(file)]) == 0
    check, serve = pod(manifests)["initContainers"][0], pod(manifests)["containers"][0]
    assert (check["args"][0], serve["args"][0]) == ("check", "serve")
    assert all(check[key] == serve[key] for key in ("image", "volumeMounts", "securityContext", "resources"))
    assert check.get("env") == serve.get("env")


@ALL
def test_a_pod_has_time_to_drain(chart: Path, values: dict[str, Any]) -> None:
    manifests = render(chart, values)
    drain = yaml.safe_load(manifests["ConfigMap", "tidegate"]["data"]["routing.yaml"])["drain"]
    waits = int(pod(manifests)["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    needed = waits + sum(int(drain[key].removesuffix("s")) for key in ("readiness", "streams"))
    assert needed < pod(manifests)["terminationGracePeriodSeconds"] <= needed + 20


@ALL
def test_nothing_runs_with_more_rights_than_it_needs(chart: Path, values: dict[str, Any]) -> None:
    spec = pod(render(chart, values))
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    for container in spec["containers"] + spec["initContainers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@ALL
def test_selectors_find_the_pods(chart: Path, values: dict[str, Any]) -> None:
    manifests = render(chart, values)
    labels = manifests["Deployment", "tidegate"]["spec"]["template"]["metadata"]["labels"].items()
    selectors = [one["spec"]["selector"] for (kind, _), one in manifests.items() if kind == "Service"]
    selectors += [manifests[kind, "tidegate"]["spec"]["selector"] for kind in ("Deployment", "PodDisruptionBudget")]
    selectors += [manifests["NetworkPolicy", "tidegate"]["spec"]["podSelector"]]
    selectors += [one["labelSelector"] for one in pod(manifests)["topologySpreadConstraints"]]
    assert len(selectors) == 7
    assert all(one.get("matchLabels", one).items() <= labels for one in selectors)


def test_metrics_are_asked_for_at_the_admin_port_with_its_key(chart: Path) -> None:
    manifests = render(chart, FULL)
    monitor = manifests["ServiceMonitor", "tidegate"]
    service = manifests["Service", "tidegate-admin"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert not monitor["spec"]["selector"]["matchLabels"].items() <= (
        manifests["Service", "tidegate"]["metadata"]["labels"].items()
    )
    assert service["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "tidegate", "the job that alerts name"
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint["port"] == service["spec"]["ports"][0]["name"]
    assert endpoint["authorization"] == {"credentials": FULL["secrets"]["TIDEGATE_ADMIN_KEY"]}
    assert monitor["metadata"]["labels"]["release"] == "stack"


def test_alerts_and_dashboards_are_those_of_deploy(deploy: Path, chart: Path) -> None:
    manifests = render(chart, FULL)
    rule = manifests["PrometheusRule", "tidegate"]
    assert rule["apiVersion"] == OPERATOR
    assert rule["spec"] == yaml.safe_load((deploy / "alerts.yml").read_text())
    shown = {
        name: json.loads(text)
        for (kind, _), one in manifests.items()
        if kind == "ConfigMap" and "grafana_dashboard" in one["metadata"]["labels"]
        for name, text in one["data"].items()
    }
    files = (deploy / "grafana" / "dashboards").iterdir()
    assert shown == {file.name: json.loads(file.read_text()) for file in files}


def test_autoscalers_ask_for_metrics_that_exist(chart: Path) -> None:
    rules = yaml.safe_load((chart / "prometheus-adapter.yaml").read_text())["rules"]
    served = {one["name"]["as"]: one for kind in ("custom", "external") for one in rules[kind]}
    known = set(metrics())
    assert all(one["seriesQuery"].partition("{")[0] in known for one in served.values())
    asked = set(re.findall(r"'name': '(tidegate_\w+)'", str(render(chart, FULL))))
    assert asked == set(served)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"replica": 3}, "replica"),
        ({"config": {"drain": {"streams": "5s"}}}, "config"),
        ({"config": {"listen": "127.0.0.1:1"}}, "config"),
        ({"secrets": {"A": {"name": "x"}}}, "key"),
        ({"service": {"port": 0}}, "port"),
        ({"engineAutoscaling": [{"name": "vllm"}]}, "engineAutoscaling"),
    ],
)
def test_wrong_values_are_refused(chart: Path, wrong: dict[str, Any], message: str) -> None:
    with helm.Chart.load(chart) as loaded, pytest.raises(helm.HelmValuesError, match=message):
        loaded.validate_schema(wrong)


def test_nobody_from_outside_comes_in_without_a_key(chart: Path) -> None:
    with helm.Chart.load(chart) as loaded, pytest.raises(helm.HelmError, match=r"config\.auth: keys"):
        loaded.render({"service": {"type": "LoadBalancer"}}, name="tidegate", namespace="llm")


def test_another_name_is_made_the_charts_own(chart: Path) -> None:
    with helm.Chart.load(chart) as loaded:
        text = loaded.render({}, name="front", namespace="llm")["tidegate/templates/NOTES.txt"]
    assert "deployment/front-tidegate\n" in text
