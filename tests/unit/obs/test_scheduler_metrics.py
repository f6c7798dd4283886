"""The scheduler on `/metrics`: its numbers and bounded labels."""

from proxy.config.plain import read
from proxy.core.scheduler import Scheduler
from proxy.model.backend import BackendSpec
from proxy.model.commands import Dispatch, Finished, FirstToken, Refuse
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.request import Job
from proxy.model.scheduling import AdmissionSettings, SchedulingSettings
from proxy.obs.labels import Labels
from proxy.obs.scheduler_metrics import scheduler_families
from tests.support.attempts import attempt_of


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


def told(core: Scheduler, now: float, tenants: Labels | None = None) -> dict[tuple[str, ...], float]:
    return {
        (sample.name.removeprefix("tidegate_"), *sample.labels.values()): sample.value
        for family in scheduler_families(core, now, tenants)
        for sample in family.samples
    }


def test_work_shows() -> None:
    core = scheduler()
    (sent,) = core.submit(Job(1, "m", stream=True, tenant="0123abcd", prompt_tokens=4000, prefix=(1, 2, 3)), 1.0)
    assert isinstance(sent, Dispatch)
    found = told(core, 1.0, Labels(["0123abcd"], 1))
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


def test_tenants_are_those_with_an_entry() -> None:
    core = scheduler("off")
    for number in range(100):
        core.submit(Job(number, "m", tenant=f"{number:08x}", prompt_tokens=100 + number), 1.0)
    named = Labels(["00000007", "00000009", "ffffffff"], 20)
    shown = {key[1]: value for key, value in told(core, 1.0, named).items() if key[0] == "tenant_service_seconds"}
    assert set(shown) == {"00000007", "00000009", "other"}
    assert min(shown.values()) > 0
    assert abs(sum(shown.values()) - sum(core.tenants(1.0).values())) < 1e-6


def test_a_model_says_who_is_healthy_and_the_hold_how_full_it_is() -> None:
    core = scheduler("off")
    shown = told(core, 1.0)
    assert shown["model_healthy_backends", "m"] == 2
    assert (shown["hold_fill_ratio", "short"], shown["hold_fill_ratio", "bulk"]) == (0.0, 0.0)
