"""The scheduler on `/metrics`: its numbers, bounded labels, and the table that documents all of them."""

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

import proxy.obs
from proxy.config.plain import read
from proxy.core.scheduler import Scheduler
from proxy.model.backend import BackendSpec
from proxy.model.cache import CacheView
from proxy.model.commands import Dispatch, Finished, FirstToken, Refuse
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.request import Job
from proxy.model.scheduling import AdmissionSettings, SchedulingSettings
from proxy.obs.metrics import Gauges, Metrics
from proxy.obs.scheduler_metrics import MAX_TENANTS, scheduler_families
from proxy.wire.prompts.lint import PrefixLint
from tests.support.attempts import attempt_of
from tests.unit.obs.records import record

_KEPT = CacheView(1 << 20, 1000, 2, 1, 3, 1, 0, 0, 0, 0, {"hit": 1})
README = Path(proxy.obs.__file__).parent / "README.md"
_ROW = re.compile(r"\| `(tidegate_\w+)` \| (\w+) \| (.*?) \| (.*) \|")


class Middle:
    def random(self) -> float:
        return 0.5

    def randrange(self, stop: int) -> int:
        return stop // 2


def scheduler(mode: str = "enforce") -> Scheduler:
    admission = read(AdmissionSettings, {"mode": mode, "probes": 0})
    return Scheduler(
        [BackendSpec("a", models=frozenset({"m"})), BackendSpec("b", "slow", models=frozenset({"m"}))],
        retries=RetrySettings(),
        hold=HoldSettings(),
        health=HealthSettings(),
        rng=Middle(),
        scheduling=SchedulingSettings(admission=admission),
    )


def told(core: Scheduler, now: float) -> dict[tuple[str, ...], float]:
    return {
        (sample.name.removeprefix("tidegate_"), *sample.labels.values()): sample.value
        for family in scheduler_families(core, now)
        for sample in family.samples
    }


def test_work_shows() -> None:
    core = scheduler()
    (sent,) = core.submit(Job(1, "m", stream=True, tenant="0123abcd", prompt_tokens=4000, prefix=(1, 2, 3)), 1.0)
    assert isinstance(sent, Dispatch)
    found = told(core, 1.0)
    assert found["backend_in_flight", sent.backend, "default" if sent.backend == "a" else "slow"] == 1
    assert sum(value for key, value in found.items() if key[0] == "backend_backlog_seconds") > 0
    assert found["tenant_service_seconds", "0123abcd"] > 0
    assert found["tenant_service_seconds", "other"] == 0
    core.observe(FirstToken(attempt_of(core, 1)), 1.5)
    core.observe(Finished(attempt_of(core, 1), 4000, 128, 50), 3.0)
    found = told(core, 3.0)
    assert sum(value for key, value in found.items() if key[0] == "backend_ttft_samples") == 1
    assert found["prefix_hit_tokens_total", "actual"] == 128
    assert sum(value for key, value in found.items() if key[0] == "pool_utilisation") > 0


def test_refusals_show_their_reason() -> None:
    core, refused = scheduler(), 0
    for number in range(200):
        job = Job(number, "m", stream=True, prompt_tokens=60_000, slo_ttft_s=0.05, arrived=1.0)
        refused += sum(isinstance(command, Refuse) for command in core.submit(job, 1.0))
    found = told(core, 1.0)
    assert refused
    assert sum(value for key, value in found.items() if key[0] == "refusals_total") == refused
    assert found["pool_enforces", "default"] == 1


def test_tenants_are_bounded() -> None:
    core = scheduler("off")
    for number in range(100):
        core.submit(Job(number, "m", tenant=f"{number:08x}", prompt_tokens=100 + number), 1.0)
    shown = {key[1]: value for key, value in told(core, 1.0).items() if key[0] == "tenant_service_seconds"}
    assert len(shown) == MAX_TENANTS + 1
    assert shown["other"] > 0
    assert abs(sum(shown.values()) - sum(core.tenants(1.0).values())) < 1e-6


async def test_every_metric_is_documented_as_it_is_told_and_no_other() -> None:
    metrics = Metrics(scheduler(), lambda: Gauges(1, 0, {"a": 0}, {}, cache=_KEPT), lambda: 1.0, PrefixLint())
    metrics.count(record())
    live = {
        family.name: (family.type, family.documentation)
        for family in text_string_to_metric_families(metrics.render().decode())
        if family.name.startswith("tidegate_")
    }
    written = {
        name.removesuffix("_total") if kind == "counter" else name: (kind, text)
        for name, kind, _, text in _ROW.findall(README.read_text())
    }
    assert written == live
