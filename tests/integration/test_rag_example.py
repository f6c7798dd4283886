"""The example application in deploy/examples/rag, before a proxy and a simulated engine: its stages add up."""

import asyncio
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from openai import OpenAI

from proxy.config.loader import load
from proxy.sim.engine.spec import PRESETS
from tests.support.live_proxy import Live, SimEngine, running

FOLDER = Path(__file__).parents[2] / "deploy" / "examples" / "rag"
BUDGETS = "stages: {retrieval: {budget: 0.001ms}, post_process: {budget: 1h}, decode: {budget: 1h}}\n"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rag_example", FOLDER / "rag.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def asked(example: ModuleType, live: Live, *questions: str) -> list[Any]:
    with OpenAI(base_url=f"{live.proxy.listen_url}/v1", api_key="sk-rag", max_retries=0) as client:
        rag = example.Rag(client, "m")
        told = [rag.ask(question) for question in questions]
        rag.index.close()
        return told


async def test_its_stages_and_what_is_left_are_what_it_measures(tmp_path: Path, example: ModuleType) -> None:
    engine = SimEngine("a", spec=PRESETS["low_latency"])  # one that a client in the same process can keep up with
    async with running(tmp_path, BUDGETS, (engine,)) as live:
        question = "What did the crow do to reach the water in the pitcher?"
        first, *again = await asyncio.to_thread(asked, example, live, question, question, question)
        for told in again:  # the client's first call loads half of its library
            timing = told.timing
            stages = {stage["name"]: stage for stage in timing["stages"]}
            assert list(stages) == [
                *("retrieval", "rerank", "prompt_assembly"),
                *("queue", "prefill", "decode", "post_process"),
            ]
            spent = sum(stage["ms"] for stage in stages.values())
            assert spent + timing["unattributed_ms"] == pytest.approx(told.e2e_ms, abs=0.1)
            assert timing["e2e_ms"] == pytest.approx(told.e2e_ms, abs=0.1)
            assert -1 <= timing["unattributed_ms"] <= 150 + 0.25 * told.e2e_ms, "the stages explain most of it"
            by_formula = timing["ttft_ms"] + (timing["completion_tokens"] - 1) * timing["tpot_ms"]
            assert by_formula == pytest.approx(timing["proxy_ms"], abs=50 + 0.1 * timing["proxy_ms"])
            assert told.answer
        assert [one.timing["stages"][0]["hits"] for one in (first, *again)] == [0, 1, 1]
        metrics = await live.metrics()
        assert 'tidegate_stage_cache_lookups_total{result="hit",stage="retrieval"} 2.0' in metrics
        assert 'tidegate_stage_budget_exceeded_total{stage="retrieval"} ' in metrics
        assert 'tidegate_stage_budget_exceeded_total{stage="post_process"} 0.0' in metrics
        assert 'tidegate_stage_seconds_count{stage="post_process"} 3' in metrics


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("What did the crow do to reach the water in the pitcher?", "The Crow and the Pitcher"),
        ("Who won the race, the hare or the tortoise?", "The Hare and the Tortoise"),
        ("Who should hang a bell on the cat?", "The Mice in Council"),
        ("Why did the fox say the grapes are sour?", "The Fox and the Grapes"),
        ("zzz qqq", None),
        ('" OR * NEAR("', "The Two Pots"),
        ("", None),
    ],
)
def test_it_finds_what_is_asked_for(example: ModuleType, question: str, title: str | None) -> None:
    index = example.Index(example.read(FOLDER / "fables.txt"))
    found, _ = index.retrieve(question)
    best = example.rerank(question, found)
    assert (best[0].title if best else None) == title
    index.close()


def test_it_cites_what_the_answer_names(example: ModuleType) -> None:
    passages = example.read(FOLDER / "fables.txt")[:3]
    assert example.sources("So [2], as in [2] and [9].", passages) == [passages[1].title]
    assert example.sources("So.", passages) == [one.title for one in passages]


def test_its_configuration_is_right() -> None:
    assert load(FOLDER / "routing.yaml", {}).diagnostics == []
