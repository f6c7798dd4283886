"""Made-up traffic has the shape that was asked for."""

from itertools import pairwise
from pathlib import Path
from statistics import fmean, stdev

import pytest

from proxy.workload.file import WorkloadError, read_workload
from proxy.workload.generator import BLOCK_TOKENS, WORKLOADS, Workload, generate


def made(**options: object) -> Workload:
    return Workload.model_validate(options)


@pytest.mark.parametrize("name", WORKLOADS)
def test_same_seed_same_arrivals_another_seed_others(name: str) -> None:
    workload = WORKLOADS[name].model_copy(update={"duration": 40.0})
    arrivals = generate(workload, 7)
    assert arrivals == generate(workload, 7) != generate(workload, 8)
    assert [a.at for a in arrivals] == sorted(a.at for a in arrivals)
    assert all(0 <= a.at < 40.0 and a.prompt_tokens > 0 and a.output_tokens > 0 for a in arrivals)
    assert all(len(a.prefix_hashes) == a.prompt_tokens // BLOCK_TOKENS for a in arrivals)


def test_the_rate_is_kept_from_the_first_second_on() -> None:
    arrivals = generate(made(rate=30.0, duration="200s"), 1)
    halves = [sum(a.at < 100 for a in arrivals), sum(a.at >= 100 for a in arrivals)]
    assert all(2500 < count < 3500 for count in halves), halves


def test_a_turn_begins_with_the_turn_before_it_and_with_a_system_prompt() -> None:
    arrivals = generate(made(rate=20.0, duration="60s"), 3)
    whole = {a.prefix_hashes for a in arrivals if len(a.prefix_hashes) > 4}
    extended = sum(any(b[: len(a)] == a for b in whole if len(b) > len(a)) for a in whole)
    assert extended > len(whole) / 3, "later turns hold earlier ones"
    firsts = {a.prefix_hashes[0] for a in arrivals if a.prefix_hashes}
    assert len(firsts) <= WORKLOADS["chat"].conversations.system_prompts


def test_jobs_share_nothing() -> None:
    jobs = generate(WORKLOADS["bulk"].model_copy(update={"duration": 60.0}), 3)
    assert {a.traffic_class for a in jobs} == {"bulk"}
    blocks = [block for a in jobs for block in a.prefix_hashes]
    assert len(set(blocks)) == len(blocks)


def test_bursts_have_the_variation_that_was_asked_for() -> None:
    def variation(cv: float) -> float:
        workload = WORKLOADS["bulk"].model_copy(update={"rate": 20.0, "duration": 2000.0, "cv": cv})
        gaps = [b.at - a.at for a, b in pairwise(generate(workload, 5))]
        return stdev(gaps) / fmean(gaps)

    assert variation(1.0) == pytest.approx(1.0, rel=0.1)
    assert variation(5.0) == pytest.approx(5.0, rel=0.35)


def test_the_greedy_tenant_asks_for_its_multiple_and_the_others_for_their_share() -> None:
    workload = made(rate=40.0, duration="300s", tenants={"count": 4, "greedy": 4.0})
    counts: dict[str | None, int] = {}
    for arrival in generate(workload, 2):
        counts[arrival.tenant] = counts.get(arrival.tenant, 0) + 1
    victims = [counts[f"tenant-{i}"] for i in (2, 3, 4)]
    assert all(2600 < count < 3400 for count in victims), counts
    assert counts["tenant-1"] == pytest.approx(4 * fmean(victims), rel=0.15)


def test_no_more_than_fits_the_memory() -> None:
    with pytest.raises(ValueError, match="at most"):
        generate(made(rate=1e5, duration="28h"), 1)
    assert len(generate(made(), 1, limit=5)) == 5


def test_a_file_changes_a_named_workload(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("like: mixed\nrate: 3\nconversations: {pause: 5s, system: {median: 3000}}\n")
    workload = read_workload(str(path))
    assert (workload.rate, workload.bulk_share, workload.conversations.pause) == (3.0, 0.15, 5.0)
    assert workload.conversations.system.median == 3000
    assert workload.conversations.system.spread == WORKLOADS["mixed"].conversations.system.spread


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("like: mixd", 'did you mean "mixed"'),
        ("[]", "group of options"),
        ("rate: -1", "rate"),
        ("speed: 1", "speed"),
        ("conversations: {pause: 5}", "conversations.pause"),
        ("conversations: {pause: 0s}", "conversations.pause"),
        ("a: [", ":1:"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "w.yaml"
    path.write_text(text)
    with pytest.raises(WorkloadError, match=why):
        read_workload(str(path))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(WorkloadError, match="no workload is named 'chatt'"):
        read_workload("chatt")
