"""Traps of llama-server, against what was captured of it."""

import json

from proxy.engines.llama_cpp import LLAMA_CPP
from tests.engines_captures.reading import capture
from tests.unit.engines.traps.seeing import seen, showing

PROPS = json.loads(capture("llama.cpp/props").body)
MODELS = json.loads(capture("llama.cpp/models").body)


def of(*lacking: str, trained: int = 2048, context: int = 2048, **props: object) -> dict[str, str]:
    told = {**PROPS, **props, "default_generation_settings": {"n_ctx": context}}
    entry = {**MODELS["data"][0], "meta": {**MODELS["data"][0]["meta"], "n_ctx_train": trained}}
    return seen(LLAMA_CPP, showing({"/props": json.dumps(told).encode()}, *lacking, models={"data": [entry]}))


def test_the_captured_one_has_a_template_without_tools() -> None:
    assert seen(LLAMA_CPP, showing({"/props": json.dumps(PROPS).encode(), "/metrics": b""}, models=MODELS)).keys() == {
        "no-tools"
    }


def test_routes_that_are_off() -> None:
    assert list(of("/metrics", endpoint_slots=False)) == ["no-metrics", "no-slots", "no-tools"]


def test_one_slot() -> None:
    assert "one-slot" in of(total_slots=1)
    assert "one-slot" not in of(total_slots=2)


def test_a_context_that_is_shorter_than_it_could_be() -> None:
    assert of(trained=32768)["short-context"] == (
        "a request has 2048 tokens of context (2 slots), the model was trained with 32768"
    )
    assert "short-context" not in of(trained=32768, context=8192)


def test_it_was_idle() -> None:
    assert "asleep" in of(is_sleeping=True)
