"""`/metrics`: the format parses, the numbers are those of the records, and no label comes from outside."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from proxy.core.scheduler import Scheduler
from proxy.model.backend import BackendSpec
from proxy.model.endpoint import Endpoint
from proxy.model.faults import Fault, Kind, Source, downstream, upstream
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.outcome import SERVED, Outcome, Phase, Verdict, failed_with
from proxy.model.request import Job
from proxy.obs.metrics import Metrics
from proxy.obs.process_metrics import Gauges
from proxy.obs.record import Record
from proxy.wire.meter import Meter
from proxy.wire.usage import NO_USAGE, Usage
from tests.unit.obs.records import record, timeline


class First:
    """The least random of all."""

    def random(self) -> float:
        return 0.0

    def randrange(self, stop: int) -> int:
        return 0


def scheduler() -> Scheduler:
    return Scheduler(
        [BackendSpec("alpha", models=frozenset({"m"}), max_concurrency=1), BackendSpec("beta", pool="bulk")],
        policy="round_robin",
        retries=RetrySettings(),
        hold=HoldSettings(),
        health=HealthSettings(),
        rng=First(),
    )


def metrics(core: Scheduler | None = None) -> Metrics:
    return Metrics(
        core or scheduler(),
        lambda: Gauges(3, 1, {"alpha": 2, "beta": 0}, {"access": 7, "operational": 0}, 4096, 8192, 5),
        lambda: 100.0,
    )


def text_of(told: Metrics) -> str:
    return "".join(told.pieces(is_open=False))


def samples_of(told: Metrics) -> list[Sample]:
    families = text_string_to_metric_families(text_of(told))
    return [sample for family in families for sample in family.samples]


def value_of(samples: Iterable[Sample], name: str, **labels: str) -> float:
    found = [s.value for s in samples if s.name == name and labels.items() <= s.labels.items()]
    assert len(found) == 1, f"{name}{labels}: {found}"
    return found[0]


async def test_one_request() -> None:
    told = metrics()
    told.count(record())
    samples = samples_of(told)
    who = {"endpoint": "chat.completions", "backend": "alpha"}
    assert value_of(samples, "tidegate_requests_total", **who, verdict="served", end_code="--", status="200") == 1
    assert value_of(samples, "tidegate_queue_seconds_sum", endpoint="chat.completions") == pytest.approx(0.002)
    assert value_of(samples, "tidegate_ttft_seconds_bucket", **who, le="0.2") == 0
    assert value_of(samples, "tidegate_ttft_seconds_bucket", **who, le="0.3") == 1
    assert value_of(samples, "tidegate_e2e_seconds_count", **who) == 1
    assert value_of(samples, "tidegate_e2e_seconds_bucket", **who, le="+Inf") == 1
    for direction, count in (("prompt", 25), ("completion", 8), ("cached", 16)):
        assert value_of(samples, "tidegate_tokens_total", backend="alpha", direction=direction) == count


async def test_stages_that_were_never_reached_are_not_observed() -> None:
    told = metrics()
    shed = failed_with(Fault(Source.INTERNAL, Kind.QUEUE_FULL, "x"), Phase.QUEUE)
    line = timeline(released=None)
    told.count(record(backend="", outcome=shed, status=429, timeline=line, usage=NO_USAGE, meter=Meter()))
    samples = samples_of(told)
    assert (
        value_of(samples, "tidegate_requests_total", backend="none", verdict="shed", end_code="PQ", status="429") == 1
    )
    assert value_of(samples, "tidegate_faults_total", source="internal", kind="queue_full") == 1
    assert not {"tidegate_queue_seconds_count", "tidegate_ttft_seconds_count"} & {sample.name for sample in samples}
    assert value_of(samples, "tidegate_e2e_seconds_count", backend="none") == 1


async def test_the_first_token_of_a_whole_answer_is_nobodys_ttft() -> None:
    told = metrics()
    told.count(record(stream=False, meter=Meter()))
    assert "tidegate_ttft_seconds_count" not in {sample.name for sample in samples_of(told)}


async def test_the_scheduler_at_one_moment() -> None:
    core = scheduler()
    core.submit(Job(1, "m"), 100.0)
    core.submit(Job(2, "m", body_bytes=50), 100.0)
    samples = samples_of(metrics(core))
    assert value_of(samples, "tidegate_held_jobs") == 1
    assert value_of(samples, "tidegate_held_bytes") == 50
    assert value_of(samples, "tidegate_backend_in_flight", backend="alpha", pool="default") == 1
    assert value_of(samples, "tidegate_backend_in_flight", backend="beta", pool="bulk") == 0
    assert value_of(samples, "tidegate_backend_healthy", backend="alpha") == 1
    assert value_of(samples, "tidegate_backend_share", backend="alpha") == 1
    assert value_of(samples, "tidegate_client_connections") == 3
    assert value_of(samples, "tidegate_refused_connections_total") == 1
    assert value_of(samples, "tidegate_upstream_connections", backend="alpha") == 2
    assert value_of(samples, "tidegate_backend_state", backend="alpha", state="healthy") == 1
    assert value_of(samples, "tidegate_backend_state", backend="alpha", state="away") == 0
    assert value_of(samples, "tidegate_build_info") == 1


FAULTS = st.builds(Fault, st.sampled_from(Source), st.sampled_from(Kind), st.text(max_size=5))
OUTCOMES = st.one_of(st.just(SERVED), st.builds(failed_with, FAULTS, st.sampled_from(Phase)))
RECORDS = st.builds(
    lambda endpoint, backend, name, status, outcome, stream: record(
        endpoint=endpoint.value,
        backend=backend,
        model_asked=name,
        model_served=name,
        path=f"/v1/{name}",
        id=name,
        method=name,
        status=status,
        outcome=outcome,
        stream=stream,
        usage=Usage(1, None, None),
    ),
    st.sampled_from(Endpoint),
    st.sampled_from(["alpha", "beta", ""]),
    st.text(min_size=1, max_size=9).map(lambda text: "zz-user " + text),
    st.integers(0, 999),
    OUTCOMES,
    st.booleans(),
)
CLOSED: dict[str, set[str]] = {
    "endpoint": {endpoint.value for endpoint in Endpoint},
    "class": {"interactive", "none"},
    "backend": {"alpha", "beta", "none"},
    "pool": {"default", "bulk"},
    "verdict": {verdict.value for verdict in Verdict},
    "end_code": {"--"} | {who + phase.value for who in "CUP" for phase in Phase},
    "source": {source.value for source in Source},
    "kind": {kind.value for kind in Kind},
    "direction": {"prompt", "completion", "cached"},
}


@settings(max_examples=40, deadline=None)
@given(st.lists(RECORDS, max_size=25))
async def test_labels_are_closed_sets_and_nothing_is_lost(records: list[Record]) -> None:
    told = metrics()
    for finished in records:
        told.count(finished)
    text = text_of(told)
    assert "zz-user" not in text
    samples = [s for f in text_string_to_metric_families(text) for s in f.samples if s.name.startswith("tidegate_")]
    statuses = {s.labels["status"] for s in samples if "status" in s.labels}
    assert all(status == "other" or (status.isdigit() and len(status) <= 3) for status in statuses)
    for name, closed in CLOSED.items():
        assert {s.labels[name] for s in samples if name in s.labels} <= closed
    assert sum(s.value for s in samples if s.name == "tidegate_requests_total") == len(records)
    assert sum(s.value for s in samples if s.name == "tidegate_e2e_seconds_count") == len(records)
    faults = sum(finished.outcome.fault is not None for finished in records)
    assert sum(s.value for s in samples if s.name == "tidegate_faults_total") == faults
    assert sum(s.value for s in samples if s.name == "tidegate_tokens_total") == len(records)


async def test_a_thousand_statuses_are_few_series() -> None:
    told = metrics()
    for status in range(1000):
        told.count(record(status=status))
    statuses = {s.labels["status"] for s in samples_of(told) if s.name == "tidegate_requests_total"}
    assert {"0", "200", "404", "499", "503", "other"} <= statuses
    assert len(statuses) < 70


async def test_every_outcome_has_a_series() -> None:
    told = metrics()
    outcomes = [
        SERVED,
        failed_with(downstream(Kind.LEFT, "x"), Phase.HEAD),
        failed_with(upstream(Kind.CUT, "x"), Phase.STREAM),
        Outcome(Verdict.SHED, "PQ"),
    ]
    for outcome in outcomes:
        told.count(record(outcome=outcome))
    found = {
        (s.labels["verdict"], s.labels["end_code"]) for s in samples_of(told) if s.name == "tidegate_requests_total"
    }
    assert found == {("served", "--"), ("cancelled", "CH"), ("failed", "US"), ("shed", "PQ")}


async def test_only_engines_that_generate_are_expected_to_tell_what_their_caches_held() -> None:
    told = metrics()
    for endpoint in ("chat.completions", "embeddings", "rerank", "other"):
        told.count(record(endpoint=endpoint, usage=Usage(25, 8, None)))
    told.count(record(usage=Usage(25, 8, 0)))
    assert told.silent() == {"alpha": 1}


async def test_ten_thousand_names_of_strangers_are_no_series() -> None:
    told, dice = metrics(), random.Random(11)

    def anything(number: int) -> Record:
        name = f"zz-user-{dice.getrandbits(96):x}"
        return record(
            model=name if number % 3 else "m",
            model_asked=name,
            path=f"/v1/{name}",
            tenant=f"{dice.getrandbits(32):08x}" if number % 2 else "",
            id=name,
            client=name,
            is_constrained=number % 5 == 0,
            usage=Usage(25, 8, 16 if number % 7 else 0),
        )

    def series() -> set[tuple[str, ...]]:
        return {(one.name, *sorted(one.labels.values())) for one in samples_of(told) if one.name.startswith("tidegate")}

    for number in range(420):
        told.count(anything(number))
    before = series()
    for number in range(10_000):
        told.count(anything(number))
    assert series() == before
    assert "zz-user" not in text_of(told)
    assert (
        value_of(samples_of(told), "tidegate_usage_requests_total", model="other", tenant="none", verdict="served")
        > 3000
    )
    assert (
        value_of(samples_of(told), "tidegate_usage_requests_total", model="m", tenant="other", verdict="served") > 1500
    )


async def test_requests_that_end_while_somebody_scrapes_break_nothing() -> None:
    """Between two pieces anything may be counted that was never seen before."""
    told, dice = metrics(), random.Random(23)
    for number in range(30):
        told.count(record(endpoint="chat.completions", backend=f"b{number}"))
    written = []
    for piece in told.pieces(is_open=False):
        written.append(piece)
        if len(written) > 150:
            continue
        number = dice.randrange(10_000)
        told.count(
            record(
                endpoint=dice.choice(list(Endpoint)).value,
                backend=f"new{number}",
                traffic_class=f"class{number}",
                cache=dice.choice(["", "hit", "miss"]),
                prompt_version=dice.choice(["", f"p{number}@1"]),
                fallback=dice.choice(["", f"pool:{number}"]),
                outcome=dice.choice([SERVED, failed_with(upstream(Kind.CUT, "x"), Phase.STREAM)]),
            )
        )
    families = {family.name: family for family in text_string_to_metric_families("".join(written))}
    assert len(written) > 100
    for name in ("tidegate_e2e_seconds", "tidegate_ttft_seconds"):
        sizes = [one.value for one in families[name].samples if one.name.endswith("_count")]
        bounds = [one.value for one in families[name].samples if one.labels.get("le") == "+Inf"]
        assert sizes == bounds
