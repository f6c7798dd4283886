"""Families about engines: what is known is told, what is not has no series."""

from proxy.core.fleet.health import HealthState
from proxy.core.shown.views import BackendView
from proxy.model.engine_facts import EngineFacts
from proxy.obs.engine_metrics import engine_families


def view(**known: object) -> BackendView:
    plain = {"name": "a", "pool": "p", "in_flight": 0, "permits": None, "state": HealthState.HEALTHY}
    rest = {"ejected_until": None, "share": 1.0, "failures_in_a_row": 0, "busy": 0, "models": None}
    return BackendView(**plain, **rest, any_model=False, service_s=None, **known)  # type: ignore[arg-type]


def samples(*views: BackendView) -> dict[str, list[tuple[dict[str, str], float]]]:
    return {
        family.name: [(sample.labels, sample.value) for sample in family.samples] for family in engine_families(views)
    }


def test_what_an_engine_is_and_says() -> None:
    facts = EngineFacts(
        "vllm",
        "0.33.0",
        "fp8",
        speculative=True,
        acceptance=0.5,
        prefix_hits=0.25,
        gpu_memory_b=8.0,
        gpu_reserved_b=9.0,
    )
    told = samples(view(facts=facts, engine_running=3.0, engine_kv_usage=0.5, scraped_s=1.5, context=4096))
    ((info, one),) = told["tidegate_engine_info"]
    assert one == 1.0
    assert (info["engine"], info["version"], info["precision"], info["speculative"]) == (
        "vllm",
        "0.33.0",
        "fp8",
        "true",
    )
    assert (info["gpu"], info["attention"]) == ("", "")
    values = {name: found[0][1] for name, found in told.items() if found and name != "tidegate_engine_info"}
    assert values == {
        "tidegate_engine_running": 3.0,
        "tidegate_engine_kv_usage_ratio": 0.5,
        "tidegate_engine_context_tokens": 4096.0,
        "tidegate_engine_asleep": 0.0,
        "tidegate_engine_scrape_age_seconds": 1.5,
        "tidegate_engine_speculative_acceptance_ratio": 0.5,
        "tidegate_engine_prefix_hit_ratio": 0.25,
        "tidegate_engine_gpu_memory_bytes": 8.0,
        "tidegate_engine_gpu_reserved_bytes": 9.0,
    }


def test_an_engine_of_which_nothing_is_known() -> None:
    told = samples(view())
    assert [name for name, found in told.items() if found] == ["tidegate_engine_info", "tidegate_engine_asleep"]
    assert set(told["tidegate_engine_info"][0][0].values()) == {"a", "p", ""}
