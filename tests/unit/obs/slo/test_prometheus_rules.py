"""The rules, as promtool reads them, on series as our /metrics gives them: they fire when they must and only then."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.model.slos import ServiceLevelObjective
from proxy.obs.slo.book import SloBook
from proxy.obs.slo.prometheus_rules import prometheus_rules
from proxy.obs.slo_metrics import slo_families
from tests.support.prometheus import needs_promtool, promtool

CHAT = ServiceLevelObjective(name="chat", class_="interactive", objective=0.995, ttft=0.25)
OTHERS = [
    replace(CHAT, name="five.nines", objective=0.99999),
    replace(CHAT, name="Low_90", objective=0.9, window=7 * 86400.0),
    replace(CHAT, name="a-day", objective=0.999, window=86400.0),
    replace(CHAT, name="hour", window=5400.0),
    replace(CHAT, name="never", objective=0.5, window=3600.0),
]
PER_MINUTE = 1_000_000
"""Requests, so that every rate here is whole."""


def series(slo: ServiceLevelObjective, rates: list[tuple[float, int]]) -> list[dict[str, str]]:
    """As /metrics gives them, with what Prometheus adds; `rates`: burn rate, for so many minutes."""
    names = [
        (sample.name, {**sample.labels, "instance": "a:9090", "job": "tidegate"})
        for family in slo_families(SloBook([slo]).status(1e9))
        for sample in family.samples
        if sample.name.endswith("_total")
    ]
    return [{"series": _series(name, labels), "values": _values(name, labels, slo, rates)} for name, labels in names]


def _series(name: str, labels: Mapping[str, str]) -> str:
    return name + "{" + ", ".join(f'{key}="{value}"' for key, value in labels.items()) + "}"


def _values(name: str, labels: Mapping[str, str], slo: ServiceLevelObjective, rates: list[tuple[float, int]]) -> str:
    total, out = 0, ["0"]
    for burn, minutes in rates:
        bad = round(PER_MINUTE * slo.budget * burn)
        step = {"tidegate_slo_events_total": PER_MINUTE, "tidegate_slo_good_events_total": PER_MINUTE - bad}.get(
            name, 0
        )
        if labels.get("reason") in ("ttft", "failed"):
            step = bad // 4 if labels["reason"] == "ttft" else bad - bad // 4
        out.append(f"{total + step}+{step}x{minutes - 1}")
        total += step * minutes
    return " ".join(out)


def run(
    folder: Path, slo: ServiceLevelObjective, rates: list[tuple[float, int]], expected: list[dict[str, Any]]
) -> None:
    (folder / "rules.yml").write_text(prometheus_rules([slo]))
    test = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series(slo, rates), "promql_expr_test": expected}],
    }
    (folder / "test.yml").write_text(yaml.safe_dump(test))
    said = promtool("test", "rules", folder / "test.yml")
    assert said.returncode == 0, said.stdout + said.stderr


def firing(at: str, *factors: str) -> dict[str, Any]:
    """Which pairs fire then, by their long windows."""
    expression = 'count by (severity, long_window) (ALERTS{alertname="TidegateErrorBudgetBurn", alertstate="firing"})'
    severity = {"1h": "page", "6h": "page", "1d": "ticket", "3d": "ticket"}
    samples = [{"labels": f'{{severity="{severity[f]}", long_window="{f}"}}', "value": 1} for f in factors]
    return {"expr": expression, "eval_time": at, "exp_samples": samples}


@needs_promtool
def test_promtool_finds_nothing_wrong(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(prometheus_rules([CHAT, *OTHERS]))
    said = promtool("check", "rules", "--lint=all", "--lint-fatal", tmp_path / "rules.yml")
    assert said.returncode == 0, said.stdout + said.stderr
    assert "SUCCESS" in said.stdout


@needs_promtool
@pytest.mark.parametrize("slo", [CHAT, *OTHERS[:4]], ids=lambda slo: slo.name)
def test_at_14_4_times_it_pages_and_at_once_it_does_not(tmp_path: Path, slo: ServiceLevelObjective) -> None:
    fast = min(14.4, 1 / slo.budget)
    pages = ["1h"] if fast == 14.4 else []
    longer = [name for name, length_s in (("6h", 21600), ("1d", 86400), ("3d", 259200)) if length_s <= slo.window]
    run(tmp_path, slo, [(1.0, 120)], [firing("1m"), firing("30m"), firing("2h")])
    run(tmp_path, slo, [(fast, 120)], [firing("10m", *pages, *longer), firing("2h", *pages, *longer)])


@needs_promtool
def test_a_burst_ends_with_its_short_window(tmp_path: Path) -> None:
    expected = [firing("8h"), firing("510m", "1h", "3d"), firing("520m", "3d")]
    run(tmp_path, CHAT, [(0.2, 8 * 60), (40.0, 30), (0.2, 60)], expected)
    run(
        tmp_path, CHAT, [(14.4, 70), (0.0, 6)], [firing("70m", "1h", "6h", "1d", "3d"), firing("76m", "6h", "1d", "3d")]
    )


@needs_promtool
@pytest.mark.parametrize(
    ("burn", "pairs"),
    [(0.99, ()), (1.0, ()), (1.05, ("3d",)), (2.9, ("3d",)), (3.0, ("1d", "3d")), (6.0, ("6h", "1d", "3d"))],
)
def test_each_pair_at_its_rate(tmp_path: Path, burn: float, pairs: tuple[str, ...]) -> None:
    run(tmp_path, CHAT, [(burn, 4 * 60)], [firing("4h", *pairs)])


@needs_promtool
def test_what_is_recorded(tmp_path: Path) -> None:
    labels = '{slo="chat", class="interactive"}'

    def at(name: str, value: float) -> dict[str, Any]:
        sample = {"labels": name + labels, "value": value}
        return {"expr": name, "eval_time": "2h", "exp_samples": [sample]}

    expected = [
        at("slo:tidegate_slo_errors:ratio_rate5m", 0.0025),
        at("slo:tidegate_slo_errors:ratio_rate30d", 0.0025),
        at("slo:tidegate_slo_objective:ratio", 0.995),
        at("slo:tidegate_slo_attainment:ratio", 0.9975),
        at("slo:tidegate_slo_error_budget_left:ratio", 0.5),
    ]
    run(tmp_path, CHAT, [(0.5, 120)], expected)


@needs_promtool
def test_no_requests_are_no_reason_to_wake_anybody(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(prometheus_rules([CHAT]))
    still = [{**one, "values": "7x120"} for one in series(CHAT, [(1.0, 1)])]
    test = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": still, "promql_expr_test": [firing("2h")]}],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
    said = promtool("test", "rules", tmp_path / "test.yml")
    assert said.returncode == 0, said.stdout + said.stderr


def test_what_cannot_fire_is_said() -> None:
    text = prometheus_rules([CHAT, *OTHERS])
    assert "# Low_90: alerts at 6, 3, 1; others look back further than its window, or could never fire.\n" in text
    assert "# never: alerts at no rate;" in text
    assert "# chat:" not in text
    assert [group["name"] for group in yaml.safe_load(text)["groups"]] == [
        f"tidegate-slo-{slo.name}" for slo in [CHAT, *OTHERS]
    ]
