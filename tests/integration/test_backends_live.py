"""What engines say of themselves: in `tidegate backends`, at `/backends`, in metrics, and in rules that name it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from proxy.cli.main import main
from tests.integration.test_unlike_engines import chat, llama, vllm
from tests.support.live_proxy import before
from tests.support.route_engine import route_engine

RULES = """routing:
  rules:
    - {when: {model: [m], max_tokens: {min: 5}}, require: {precision: fp16}}
    - {when: {model: [m], max_tokens: {min: 4}}, require: {precision: int4}}
"""
METRICS = "vllm:num_requests_running 2\nvllm:num_requests_waiting 1\nvllm:kv_cache_usage_perc 0.5\n"


def quantized(ftype: str) -> dict[str, Any]:
    return {**llama(), "/props": {"total_slots": 2, "model_ftype": ftype, "build_info": "b1"}}


async def test_int4_serves_chats_and_fp16_serves_maths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paged = {**vllm(max_model_len=4096), "/metrics": (200, METRICS), "/version": {"version": "0.33.0"}}
    async with (
        route_engine(quantized("Q4_K - Medium")) as four,
        route_engine(paged) as half,
        before(
            tmp_path,
            f"  - {{url: '{four.url}', name: four}}\n  - {{url: '{half.url}', name: half, precision: fp16}}\n",
            RULES,
        ) as live,
    ):
        url = live.proxy.admin_url

        async def shown() -> dict[str, Any]:
            assert await asyncio.to_thread(main, ["backends", "--admin", url, "--json"]) == 0
            told: dict[str, Any] = json.loads(capsys.readouterr().out)["backends"]
            return told

        async with asyncio.timeout(5.0):
            while None in [one["engine"]["version"] for one in (await shown()).values()]:
                await asyncio.sleep(0.02)
        told = await shown()
        engine = told["four"]["engine"]
        assert (engine["kind"], engine["version"], engine["precision"]) == ("llama_cpp", "b1", "Q4_K - Medium")
        engine = told["half"]["engine"]
        assert (engine["kind"], engine["version"], engine["precision"]) == ("vllm", "0.33.0", "fp16")
        assert (engine["running"], engine["waiting"], engine["kv_usage"]) == (2.0, 1.0, 0.5)
        assert told["half"]["context_tokens"] == 4096
        assert {(await live.ask(chat(max_tokens=9))).route["backend"] for _ in range(4)} == {"half"}
        assert {(await live.ask(chat(max_tokens=4))).route["backend"] for _ in range(4)} == {"four"}
        _, why = await live.explain(chat(max_tokens=9))
        left_out = {c["backend"]: (c["removed_by"], c["lacks"]) for c in why["decision"]["candidates"]}
        assert left_out == {"four": ("labels", ["precision=fp16"]), "half": (None, [])}
        assert await asyncio.to_thread(main, ["backends", "--admin", url]) == 0
        table = capsys.readouterr().out
        assert "Q4_K - Medium" in table
        metrics = await live.metrics()
        infos = [line for line in metrics.splitlines() if line.startswith("tidegate_engine_info{")]
        (info,) = [line for line in infos if 'backend="half"' in line]
        assert 'engine="vllm"' in info
        assert 'precision="fp16"' in info
        assert 'tidegate_engine_waiting{backend="half",pool="default"} 1.0' in metrics


async def test_an_error_says_what_nobody_has(tmp_path: Path) -> None:
    async with (
        route_engine(quantized("Q4_K - Medium")) as four,
        before(tmp_path, f"  - {{url: '{four.url}', name: four}}\n", RULES) as live,
    ):
        answer = await live.ask(chat(max_tokens=9))
        assert answer.status == 503
        assert b"precision fp16" in answer.body
