"""Every alert fires when it should and at no other time, as promtool plays it."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from proxy.obs.monitoring.alerts import JOB, alerts
from proxy.obs.monitoring.queries import drawn
from tests.support.prometheus import needs_promtool, promtool

STEP_S = 15
HOUR = 3600 // STEP_S
DAY_S = 86400
Series = dict[str, str]
HERE = 'instance="a", job="tidegate"'
THERE = 'instance="b", job="other"'


def always(value: float) -> str:
    return f"{value:g}x{2 * HOUR}"


def grows(per_step: float) -> str:
    return f"0+{per_step:g}x{HOUR}"


def once(at_step: int) -> str:
    """A counter that grows by one, and never again."""
    return f"0x{at_step} 1x{HOUR - at_step - 1}"


class Case(NamedTuple):
    """What happens within an hour."""

    bad: Series
    """From the beginning on."""
    good: list[Series]
    """Each of them: nothing fires."""
    labels: str
    """Of the alert, but for name and severity."""


def requests(ends: str, bad: float, served: float, end_code: str = "UH") -> Series:
    """Per step, of one class."""
    name = f'tidegate_requests_total{{{HERE}, class="bulk", verdict='
    return {f'{name}"{ends}", end_code="{end_code}"}}': grows(bad), f'{name}"served", end_code="--"}}': grows(served)}


def tokens(good: float, whole: float) -> Series:
    return {
        f'tidegate_goodput_tokens_total{{{HERE}, class="interactive"}}': grows(good),
        f'tidegate_throughput_tokens_total{{{HERE}, class="interactive"}}': grows(whole),
    }


def predictions(error: float, samples: float) -> Series:
    return {
        f'tidegate_pool_ttft_error{{{HERE}, pool="p"}}': always(error),
        f'tidegate_pool_ttft_samples{{{HERE}, pool="p"}}': always(samples),
    }


def descriptors(used: float, of: str = HERE) -> Series:
    return {
        f"process_open_fds{{{of}}}": always(used),
        f"process_max_fds{{{of}}}": always(1000),
        f'tidegate_build_info{{{HERE}, version="1"}}': always(1),
    }


def memory(used: float, of: str = HERE) -> Series:
    return {
        f"process_resident_memory_bytes{{{of}}}": always(used),
        f"tidegate_memory_limit_bytes{{{HERE}}}": always(1000),
    }


def lag(late: float, in_time: float) -> Series:
    """Timers per step: those up to 10 ms late, and those up to a second."""
    name = f"tidegate_loop_lag_seconds_bucket{{{HERE}, le="
    whole = grows(late + in_time)
    return {f'{name}"0.01"}}': grows(in_time), f'{name}"1"}}': whole, f'{name}"+Inf"}}': whole}


BACKEND = f'{{{HERE}, backend="x", pool="p"}}'
CASES = {
    "TidegateDown": Case(
        {f"up{{{HERE}}}": always(0)},
        [{f"up{{{HERE}}}": always(1)}, {f"up{{{HERE}}}": always(1), f"up{{{THERE}}}": always(0)}],
        HERE,
    ),
    "TidegateModelGone": Case(
        {f'tidegate_model_healthy_backends{{{HERE}, model="m"}}': always(0)},
        [{f'tidegate_model_healthy_backends{{{HERE}, model="m"}}': always(1)}],
        'instance="a", model="m"',
    ),
    "TidegatePoolGone": Case(
        {f"tidegate_backend_healthy{BACKEND}": always(0)},
        [
            {
                f"tidegate_backend_healthy{BACKEND}": always(0),
                f'tidegate_backend_healthy{{{HERE}, backend="y", pool="p"}}': always(1),
            }
        ],
        'instance="a", pool="p"',
    ),
    "TidegateBackendOut": Case(
        {f"tidegate_backend_healthy{BACKEND}": always(0)},
        [{f"tidegate_backend_healthy{BACKEND}": always(1)}],
        'instance="a", backend="x", pool="p"',
    ),
    "TidegateGoodputLow": Case(
        tokens(300, 1000), [tokens(900, 1000), tokens(0, 100)], 'class="interactive"'
    ),  # 100 tokens in 15 s are too few to say anything
    "TidegateRefusalsHigh": Case(
        requests("shed", 1, 9),
        [requests("shed", 1, 30), requests("shed", 0.5, 0.5), requests("failed", 9, 1)],
        'class="bulk"',
    ),
    "TidegateFailuresHigh": Case(
        requests("failed", 1, 30),
        [
            requests("failed", 1, 60),
            requests("failed", 0.5, 0.5),
            requests("shed", 9, 1),
            requests("failed", 9, 1, "CR"),
        ],
        'class="bulk"',
    ),
    "TidegateHoldNearlyFull": Case(
        {f'tidegate_hold_fill_ratio{{{HERE}, what="short"}}': always(0.9)},
        [{f'tidegate_hold_fill_ratio{{{HERE}, what="short"}}': always(0.8)}],
        'instance="a", what="short"',
    ),
    "TidegateFalseRefusals": Case(
        {f'tidegate_pool_refusal_alarms_total{{{HERE}, pool="p"}}': grows(0.1)},
        [
            {f'tidegate_pool_refusal_alarms_total{{{HERE}, pool="p"}}': always(3)},
            {f'tidegate_pool_refusal_alarms_total{{{HERE}, pool="p"}}': once(4 * 10)},  # more than half an hour ago
        ],
        'instance="a", pool="p"',
    ),
    "TidegatePredictionsOff": Case(
        predictions(0.6, 100), [predictions(0.5, 100), predictions(0.6, 99)], 'instance="a", pool="p"'
    ),
    "TidegateReloadFailed": Case(
        {f"tidegate_config_last_reload_successful{{{HERE}}}": always(0)},
        [{f"tidegate_config_last_reload_successful{{{HERE}}}": always(1)}],
        HERE,
    ),
    "TidegateCertificateEnds": Case(
        {f"tidegate_certificate_ends_timestamp_seconds{{{HERE}}}": always(13 * DAY_S)},
        [{f"tidegate_certificate_ends_timestamp_seconds{{{HERE}}}": always(15 * DAY_S)}],
        HERE,
    ),  # promtool's clock begins in 1970
    "TidegateLogLinesLost": Case(
        {f'tidegate_log_lines_dropped_total{{{HERE}, log="access"}}': grows(1)},
        [{f'tidegate_log_lines_dropped_total{{{HERE}, log="access"}}': once(4 * 20)}],
        'instance="a", log="access"',
    ),
    "TidegateEventLoopLag": Case(lag(2, 98), [lag(0.5, 99.5)], 'instance="a"'),
    "TidegateDescriptorsLow": Case(descriptors(810), [descriptors(800), descriptors(999, THERE)], HERE),
    "TidegateMemoryNearGuard": Case(memory(860), [memory(850), memory(999, THERE)], HERE),
}
BY_NAME = {one.name: one for one in alerts()}
RULES = Path(__file__).parents[2] / "deploy" / "alerts.yml"


class Play(NamedTuple):
    """At a time within the hour, the alerts that fire."""

    series: Series
    at: str
    firing: list[str]


def played(folder: Path, name: str, *plays: Play) -> None:
    """promtool finds exactly these."""
    file = folder / "alerts.test.yml"
    tests = [_test(name, play) for play in plays]
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": f"{STEP_S}s", "tests": tests}))
    told = promtool("test", "rules", file)
    assert told.returncode == 0, told.stdout + told.stderr


def _test(name: str, play: Play) -> Any:
    fires = f'alertname="{name}", alertstate="firing"'
    severity = BY_NAME[name].severity
    expected = [{"labels": f'ALERTS{{{fires}, severity="{severity}", {labels}}}', "value": 1} for labels in play.firing]
    return {
        "interval": f"{STEP_S}s",
        "input_series": [{"series": one, "values": values} for one, values in play.series.items()],
        "promql_expr_test": [{"expr": f"ALERTS{{{fires}}}", "eval_time": play.at, "exp_samples": expected}],
    }


def seconds(duration: str) -> int:
    return int(duration[:-1]) * {"s": 1, "m": 60, "h": 3600}[duration[-1]]


def test_every_alert_is_played() -> None:
    assert set(CASES) == set(BY_NAME)


@needs_promtool
def test_prometheus_takes_the_file() -> None:
    told = promtool("check", "rules", "--lint-fatal", RULES)
    assert told.returncode == 0, told.stdout + told.stderr
    assert f"{len(CASES)} rules found" in told.stdout


@needs_promtool
@pytest.mark.parametrize("name", CASES)
def test_it_fires_after_long_enough_and_at_no_other_time(tmp_path: Path, name: str) -> None:
    case, after = CASES[name], seconds(BY_NAME[name].after)
    too_early, in_time = f"{after - STEP_S}s", f"{max(after + 300, 3000)}s"
    quiet = [Play(series, in_time, []) for series in case.good]
    played(tmp_path, name, Play(case.bad, too_early, []), Play(case.bad, in_time, [case.labels]), *quiet)


@needs_promtool
def test_a_proxy_that_is_scraped_no_more_is_down_too(tmp_path: Path) -> None:
    played(tmp_path, "TidegateDown", Play({f"up{{{THERE}}}": always(1)}, "5m", [f'job="{JOB}"']))


@needs_promtool
def test_a_play_can_fail(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="TidegateDown"):
        played(tmp_path, "TidegateDown", Play({f"up{{{HERE}}}": always(0)}, "50m", []))


def test_each_says_what_it_is_and_what_to_do() -> None:
    for one in alerts():
        assert one.severity in ("page", "ticket")
        assert len(one.what_to_do) > 80
        assert one.what_to_do.endswith(".")
        assert not one.summary.endswith(".")
        assert drawn(one.expr) or "up{" in one.expr


def test_labels_in_its_words_are_those_that_it_has() -> None:
    for one in alerts():
        used = set(re.findall(r"\$labels\.(\w+)", one.summary + one.what_to_do))
        assert used <= set(re.findall(r"(\w+)=", CASES[one.name].labels)), one.name


def test_the_guide_has_the_part_that_it_names(deploy: Path) -> None:
    text = (deploy / "README.md").read_text()
    parts = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in _titles(text)}
    assert {one.part for one in alerts()} <= parts


def test_prometheus_of_the_compose_file_loads_them(deploy: Path) -> None:
    configuration: Any = yaml.safe_load((deploy / "prometheus.yml").read_text())
    mounted = yaml.safe_load((deploy / "compose.yaml").read_text())["services"]["prometheus"]["volumes"]
    assert configuration["rule_files"] == ["alerts.yml"]
    assert "./alerts.yml:/etc/prometheus/alerts.yml:ro" in mounted
    assert JOB in {job["job_name"] for job in configuration["scrape_configs"]}


def _titles(text: str) -> list[str]:
    return re.findall(r"^#+ (.+)$", text, re.MULTILINE)


def test_the_guide_names_every_alert_with_its_severity(deploy: Path) -> None:
    rows = re.findall(r"^\| (`Tidegate.*?) \|.*?\| (page|ticket) \|", (deploy / "README.md").read_text(), re.MULTILINE)
    told = {name: severity for names, severity in rows for name in re.findall(r"`(\w+)`", names)}
    assert told == {one.name: one.severity for one in alerts()}


@needs_promtool
def test_what_the_guide_writes_for_prometheus_is_valid(deploy: Path, tmp_path: Path) -> None:
    block = re.search(r"```yaml\n(   rule_files:.*?)```", (deploy / "README.md").read_text(), re.DOTALL)
    assert block is not None
    (tmp_path / "admin.key").write_text("key")
    (tmp_path / "alerts.yml").write_text(RULES.read_text())
    written = re.sub(r"credentials_file: [^}]+", f"credentials_file: {tmp_path / 'admin.key'}", block[1])
    (tmp_path / "prometheus.yml").write_text(written)
    for file in (tmp_path / "prometheus.yml", deploy / "prometheus.yml"):
        told = promtool("check", "config", file)
        assert told.returncode == 0, told.stdout + told.stderr
