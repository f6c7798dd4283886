"""Ollama: which models are in memory, and the version that tells it where owners do not."""

import json
from typing import Any

import pytest

from proxy.engines.base import ModelCard
from proxy.engines.load import Reading
from proxy.engines.ollama import OLLAMA
from proxy.model.abilities import Lack
from proxy.model.engine_facts import EngineFacts

IN_MEMORY, VERSION, INSTALLED = OLLAMA.loads


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


def test_of_several_precisions_each_is_known() -> None:
    entries = [
        {"name": "chat:latest", "details": {"quantization_level": "Q4_K_M"}},
        {"name": "maths:7b", "details": {"quantization_level": "F16"}},
        {"name": "old:1b", "details": {}},
        {"name": "odd:1b", "details": "x"},
        {"x": 1},
    ]
    told = INSTALLED.read(json.dumps({"models": entries}).encode())
    assert told == Reading(precisions={"chat:latest": "Q4_K_M", "chat": "Q4_K_M", "maths:7b": "F16"})
    for nothing in (b"", b"[]", b'{"models":[]}', b'{"models":"x"}', b"<html>"):
        assert INSTALLED.read(nothing) == Reading()


LLAMA = {"general.architecture": "llama", "llama.context_length": 131072, "mllama.context_length": 7}


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ({"model_info": LLAMA}, ModelCard(131072)),
        ({"model_info": LLAMA, "parameters": 'stop "num_ctx 5"\nnum_ctx    8192\ntop_k 3'}, ModelCard(8192)),
        ({"model_info": LLAMA, "parameters": "num_ctx 999999"}, ModelCard(131072)),
        ({"parameters": "num_ctx 4096"}, ModelCard(4096)),
        ({"parameters": "num_ctx 0"}, ModelCard()),
        ({"parameters": "num_ctx many", "model_info": {"general.architecture": 7}}, ModelCard()),
        ({"model_info": "x", "parameters": 7, "capabilities": 7}, ModelCard()),
        ({"capabilities": ["completion", "tools", "vision"]}, ModelCard()),
        ({"capabilities": ["completion"]}, ModelCard(None, frozenset({Lack.TOOLS, Lack.IMAGES}))),
        ({"capabilities": []}, ModelCard()),
        ([], ModelCard()),
    ],
)
def test_what_it_says_of_a_model_that_is_not_loaded(shown: Any, expected: ModelCard) -> None:
    assert OLLAMA.card is not None
    assert OLLAMA.card(json.dumps(shown).encode()) == expected


def test_names_without_a_tag_are_taken() -> None:
    assert OLLAMA.traits.loose_names


def test_it_is_asked_only_where_every_name_has_a_tag() -> None:
    assert OLLAMA.sign is not None
    assert OLLAMA.sign.reads(b'{"version":"0.12.0"}')
    assert OLLAMA.sign.is_worth_asking(["mike/mario:7b"], "")
    assert not OLLAMA.sign.is_worth_asking(["host:80/mario"], "")
    assert not OLLAMA.sign.is_worth_asking([], "")
