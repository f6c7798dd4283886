"""Texts that go to a real engine as one array have the vectors that they have alone.

With one slot: with two, this llama-server gives half of the texts of an array, and calls that merely come at the same
time, other vectors than the same texts have alone, with or without a proxy (by 0.4 of their length).
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from math import sqrt

import openai
import pytest

from tests.engines.conftest import EMBED, config_for
from tests.engines.llama_server import Engine, LlamaServer, running_server
from tests.engines.pair import client_of
from tests.support.proxy_process import ProxyProcess, ready, running_proxy

TEXTS = [f"once upon a time there were {i} little stories " * (1 + i % 4) for i in range(24)]


@pytest.fixture(scope="module")
def embed_server(engine: Engine) -> Iterator[LlamaServer]:
    """The last `-np` is the one that counts."""
    with running_server(engine, EMBED, "--embeddings", "--pooling", "mean", "-np", "1") as server:
        yield server


@pytest.fixture(scope="module")
def merging(embed_server: LlamaServer) -> Iterator[ProxyProcess]:
    """A proxy that waits for company."""
    rule = {"endpoint": "embeddings", "mode": "fixed", "max_wait": "100ms", "max_jobs": 8}
    with running_proxy({**config_for(embed_server), "routing": {"windows": [rule]}}) as proxy:
        ready(proxy, models=1)
        yield proxy


def vector(client: openai.OpenAI, text: str) -> tuple[list[float], int]:
    answer = client.embeddings.create(model=EMBED, input=text)
    assert [entry.index for entry in answer.data] == [0]
    return answer.data[0].embedding, answer.usage.prompt_tokens


def distance(one: list[float], other: list[float]) -> float:
    return sqrt(sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) / sum(a * a for a in one))


def test_merged_vectors_are_those_of_the_engine(embed_server: LlamaServer, merging: ProxyProcess) -> None:
    with client_of(embed_server.url) as direct:
        expected = [vector(direct, text) for text in TEXTS]
    with client_of(merging.url) as through, ThreadPoolExecutor(len(TEXTS)) as pool:
        found = list(pool.map(lambda text: vector(through, text), TEXTS))
    assert max(distance(one, other) for (one, _), (other, _) in zip(expected, found, strict=True)) < 1e-3
    assert sum(tokens for _, tokens in found) == sum(tokens for _, tokens in expected)
    metrics = merging.metrics()
    assert metrics.total("tidegate_calls_saved_total") > 0, "most of them went together"


def test_inputs_of_several_kinds_at_once(embed_server: LlamaServer, merging: ProxyProcess) -> None:
    inputs = ["a b c", ["d e", "f"], [1, 2, 3], [[4, 5], [6]]] * 3

    def asked(client: openai.OpenAI, value: object) -> list[list[float]]:
        answer = client.embeddings.create(model=EMBED, input=value)  # type: ignore[arg-type]
        return [entry.embedding for entry in answer.data]

    with client_of(embed_server.url) as direct:
        expected = [asked(direct, value) for value in inputs]
    with client_of(merging.url) as through, ThreadPoolExecutor(len(inputs)) as pool:
        found = list(pool.map(lambda value: asked(through, value), inputs))
    assert [len(one) for one in found] == [len(one) for one in expected]
    for one, other in zip(expected, found, strict=True):
        assert all(distance(a, b) < 1e-3 for a, b in zip(one, other, strict=True))
