"""Ollama: which models are in memory, and the version that tells it where owners do not."""

import pytest

from proxy.engines.load import Reading
from proxy.engines.ollama import OLLAMA
from proxy.model.engine_facts import EngineFacts

IN_MEMORY, VERSION = OLLAMA.loads


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"models":[{"name":"a:7b"},{"x":1},3]}', Reading(loaded=frozenset({"a:7b"}))),
        (
            b'{"models":[{"name":"a:7b","context_length":4096},{"name":"b:1b","context_length":0},{"name":["c"]}]}',
            Reading(loaded=frozenset({"a:7b", "b:1b"}), contexts={"a:7b": 4096}),
        ),
        (b'{"models":[{"name":"b:latest"}]}', Reading(loaded=frozenset({"b:latest", "b"}))),
    ],
)
def test_what_is_in_memory(text: bytes, expected: Reading) -> None:
    assert IN_MEMORY.read(text) == expected


def test_its_precision_and_memory_where_what_is_loaded_agrees() -> None:
    text = b'{"models":[{"name":"a","details":{"quantization_level":"Q4_K_M"},"size_vram":5368709120}%b]}'
    assert IN_MEMORY.read(text % b"").facts == EngineFacts(precision="Q4_K_M", gpu_memory_b=5.0 * (1 << 30))
    other = b',{"name":"b","details":{"quantization_level":"F16"},"size_vram":7}'
    assert IN_MEMORY.read(text % other).facts == EngineFacts(gpu_memory_b=5.0 * (1 << 30) + 7)
    assert VERSION.read(b'{"version":"0.33.0"}') == Reading(facts=EngineFacts(version="0.33.0"))


def test_names_without_a_tag_are_taken() -> None:
    assert OLLAMA.traits.loose_names


def test_it_is_asked_only_where_every_name_has_a_tag() -> None:
    assert OLLAMA.sign is not None
    assert OLLAMA.sign.reads(b'{"version":"0.12.0"}')
    assert OLLAMA.sign.is_worth_asking(["mike/mario:7b"], "")
    assert not OLLAMA.sign.is_worth_asking(["host:80/mario"], "")
    assert not OLLAMA.sign.is_worth_asking([], "")
