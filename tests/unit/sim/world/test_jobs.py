"""What a proxy sees of a request, and what it must not."""

from dataclasses import replace

import pytest

from proxy.config.plain import read
from proxy.core.tenancy.classify import Classifier
from proxy.model.classes import ClassSettings, with_built_in
from proxy.sim.world.jobs import SeenByProxy
from proxy.workload.arrival import Arrival, Slo

ARRIVAL = Arrival(1.0, 2000, 300, (1, 2, 3, 4), traffic_class="bulk", tenant="t", slo=Slo(1.0, 0.1, 30.0))


def test_the_length_of_the_answer_is_not_seen() -> None:
    for tokens in (1, 9999):
        job = SeenByProxy(3, 512).job(0, replace(ARRIVAL, output_tokens=tokens), 1.0)
        assert job == SeenByProxy(3, 512).job(0, ARRIVAL, 1.0)


def test_the_prompt_is_seen_as_bytes_which_say_its_tokens_only_roughly() -> None:
    seen = SeenByProxy(3, 512)
    sizes = {seen.job(i, ARRIVAL, 1.0).body_bytes for i in range(200)}
    assert len(sizes) > 100
    assert all(2000 * 2.5 < size < 2000 * 7 for size in sizes)
    assert seen.job(0, replace(ARRIVAL, body_bytes=77), 1.0).body_bytes == 77
    assert seen.job(0, ARRIVAL, 1.0).prompt_tokens == 0


def test_only_whole_blocks_are_hashed() -> None:
    job = SeenByProxy(3, 512).job(0, ARRIVAL, 1.0)
    assert (job.prefix, job.prefix_block_tokens) == ((1, 2, 3), 512)


def test_promises_of_the_request_go_before_those_of_its_class() -> None:
    classes = with_built_in((read(ClassSettings, {"name": "interactive", "slo": "chatbot", "priority": 3}),))
    seen = SeenByProxy(3, 512, Classifier(classes, (), None))
    bulk = seen.job(0, ARRIVAL, 5.0)
    assert (bulk.bulk, bulk.slo_ttft_s, bulk.slo_tpot_s, bulk.deadline) == (True, 1.0, 0.1, 35.0)
    chat = seen.job(0, Arrival(1.0, 10, 10), 5.0)
    assert (chat.traffic_class, chat.priority, chat.bulk) == ("interactive", 3, False)
    assert (chat.slo_ttft_s, chat.slo_tpot_s, chat.deadline) == (0.2, 0.25, None)


def test_an_unknown_class_is_as_none() -> None:
    job = SeenByProxy(3, 512).job(0, replace(ARRIVAL, traffic_class="vip"), 1.0)
    assert job.traffic_class == "interactive"


@pytest.mark.parametrize("stream", [False, True])
def test_long_answers_are_learned_to_be_bulk_unless_they_stream(stream: bool) -> None:
    seen = SeenByProxy(3, 512, Classifier(with_built_in(()), (), 1000))
    arrival = Arrival(0.0, 10, 4000, stream=stream)
    assert not seen.job(0, arrival, 0.0).bulk
    for _ in range(50):
        seen.finished(arrival)
    assert seen.job(1, arrival, 0.0).bulk is not stream


@pytest.mark.parametrize("seed", [1, 2])
def test_same_seed_same_noise(seed: int) -> None:
    def sizes() -> list[int]:
        seen = SeenByProxy(seed, 512)
        return [seen.job(i, ARRIVAL, 0.0).body_bytes for i in range(20)]

    assert sizes() == sizes()
