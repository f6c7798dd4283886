"""Answers from memory over sockets, as clients and operators see them."""

import asyncio
import json
import re
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.live_proxy import Answer, Live, SimEngine, running

ENGINES = (SimEngine("a"),)
ON = "headers: {forward: ['x-sim-*']}\ncache: {size: 64MiB, ttl: 1h}\n"
GREEDY = {"temperature": 0, "max_tokens": 6}
WHOLE = {**GREEDY, "stream": False}
TOLD = {**GREEDY, "stream_options": {"include_usage": True}}


def asked(live: Live, engine: str = "a") -> int:
    """Requests that reached the engine; probes are none."""
    return sum(one["method"] == "POST" for one in live.sims[engine].recorder.as_json())


def said(answer: Answer) -> str:
    return answer.headers.get("x-tidegate-cache", "")


def events(answer: Answer) -> list[dict[str, Any]]:
    lines = [line for line in answer.body.decode().split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def text(answer: Answer) -> str:
    found = events(answer)
    return "".join(c["delta"].get("content") or "" for event in found for c in event["choices"])


def bare(body: bytes) -> bytes:
    """Without what every answer has for itself."""
    return re.sub(rb'"(id|created)": ?("[^"]*"|[0-9]+)', b"", body)


async def admin(live: Live, method: str, path: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as s, s.request(method, f"{live.proxy.admin_url}{path}") as answer:
        return answer.status, await answer.json()


async def test_the_same_request_is_answered_once_by_an_engine(tmp_path: Path) -> None:
    async with running(tmp_path, ON, ENGINES) as live:
        for seed, form in enumerate((WHOLE, GREEDY, TOLD)):
            body = {**form, "seed": seed}
            first, again = await live.ask(body), await live.ask(body)
            assert (said(first), said(again)) == ("miss", "hit")
            assert bare(again.body) == bare(first.body)
            assert again.body != first.body  # an id of its own
            assert again.headers["content-type"].split(";")[0] == first.headers["content-type"].split(";")[0]
            assert again.headers["age"] == "0"
            assert "age" not in first.headers
            assert again.route["backend"] == "cache"
        assert asked(live) == 3


async def test_streams_answer_whole_requests_and_the_other_way_round(tmp_path: Path) -> None:
    async with running(tmp_path, ON, ENGINES) as live:
        stream = await live.ask(TOLD)
        whole = await live.ask(WHOLE)
        without = await live.ask(GREEDY)
        assert [said(one) for one in (stream, whole, without)] == ["miss", "hit", "hit"]
        answer = json.loads(whole.body)
        assert answer["choices"][0]["message"]["content"] == text(stream) == text(without)
        assert answer["usage"] == events(stream)[-1]["usage"]
        assert b'"usage"' not in without.body.replace(b'"usage":null', b"")
        assert answer["object"] == "chat.completion"

        other = {"seed": 2}
        whole = await live.ask({**WHOLE, **other})
        stream = await live.ask({**TOLD, **other})
        without = await live.ask({**GREEDY, **other})
        assert [said(one) for one in (whole, stream, without)] == ["miss", "hit", "hit"]
        answer = json.loads(whole.body)
        assert answer["choices"][0]["message"]["content"] == text(stream) == text(without)
        assert events(stream)[-1]["usage"] == answer["usage"]
        assert b"usage" not in without.body
        assert asked(live) == 2


async def test_what_is_not_exact_is_made_anew_unless_the_class_says_all(tmp_path: Path) -> None:
    classes = "classes:\n  - {name: all, cache: all}\n  - {name: none, cache: off}\n"
    async with running(tmp_path, ON + classes, ENGINES) as live:
        warm = {"temperature": 0.7}
        assert [said(await live.ask(warm)) for _ in range(2)] == ["bypass", "bypass"]
        assert [said(await live.ask(warm, x_tidegate_class="all")) for _ in range(2)] == ["miss", "hit"]
        assert [said(await live.ask(GREEDY, x_tidegate_class="none")) for _ in range(2)] == ["bypass", "bypass"]


async def test_off_says_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, "", ENGINES) as live:
        for _ in range(2):
            assert "x-tidegate-cache" not in (await live.ask(GREEDY)).headers
        assert asked(live) == 2
        assert (await admin(live, "GET", "/cache/stats"))[0] == 404
        assert "tidegate_cache_" not in await live.metrics()


async def test_tenants_see_nothing_of_each_other(tmp_path: Path) -> None:
    async with running(tmp_path, ON, ENGINES) as live:
        keys: Sequence[dict[str, str]] = ({"authorization": "Bearer a"}, {"authorization": "Bearer b"}, {})
        assert [said(await live.ask(GREEDY, **key)) for key in keys] == ["miss"] * 3
        assert [said(await live.ask(GREEDY, **key)) for key in keys] == ["hit"] * 3
        assert asked(live) == 3


async def test_a_class_that_shares_tells_nobody(tmp_path: Path) -> None:
    classes = "classes:\n  - {name: faq, cache: {scope: shared}}\n"
    async with running(tmp_path, ON + classes, ENGINES) as live:
        for key in ("a", "b", "c"):
            answer = await live.ask(GREEDY, x_tidegate_class="faq", authorization=f"Bearer {key}")
            assert not {"x-tidegate-cache", "age"} & set(answer.headers)
        assert asked(live) == 1


async def test_cache_control_is_obeyed(tmp_path: Path) -> None:
    async with running(tmp_path, ON, ENGINES) as live:
        nothing = await live.ask(GREEDY, cache_control="only-if-cached")
        assert nothing.status == 504
        assert json.loads(nothing.body)["error"]["code"] == "not_cached"
        assert said(await live.ask(GREEDY, cache_control="no-store")) == "bypass"
        assert said(await live.ask(GREEDY)) == "miss"
        assert said(await live.ask(GREEDY, cache_control="only-if-cached, max-age=60")) == "hit"
        assert said(await live.ask(GREEDY, cache_control="no-cache")) == "miss"
        assert said(await live.ask(GREEDY, cache_control="max-age=0")) == "miss"
        assert said(await live.ask(GREEDY)) == "hit"
        assert asked(live) == 4


async def test_other_fields_for_the_engine_are_other_answers(tmp_path: Path) -> None:
    async with running(tmp_path, ON, ENGINES) as live:
        assert [said(await live.ask(GREEDY)) for _ in range(2)] == ["miss", "hit"]
        live.file.write_text(live.file.read_text() + "routing: {models: [{name: m, parameters: {set: {top_k: 1}}}]}\n")
        live.put_in_place()
        assert [said(await live.ask(GREEDY)) for _ in range(2)] == ["miss", "hit"]


async def test_identical_requests_at_once_are_one(tmp_path: Path) -> None:
    async with running(tmp_path, ON, ENGINES) as live:
        answers = await asyncio.gather(*(live.ask(GREEDY) for _ in range(60)))
        assert {answer.status for answer in answers} == {200}
        assert len({text(answer) for answer in answers}) == 1
        assert len({events(answer)[0]["id"] for answer in answers}) == 60
        assert sorted({said(answer) for answer in answers} - {"hit"}) == ["coalesced", "miss"]
        assert asked(live) == 1
        assert "tidegate_cache_flights 0.0" in await live.metrics()


async def test_a_bump_makes_all_of_it_void_at_once(tmp_path: Path) -> None:
    engines = (SimEngine("a", models=("m", "n")),)
    async with running(tmp_path, ON, engines) as live:

        async def both() -> list[str]:
            return [said(await live.ask({**GREEDY, "model": model})) for model in ("m", "n")]

        assert await both() == ["miss", "miss"]
        assert await both() == ["hit", "hit"]
        assert await admin(live, "POST", "/cache/bump?model=m") == (200, {"model": "m", "prompt": "", "epoch": 1})
        assert await both() == ["miss", "hit"]
        assert (await admin(live, "POST", "/cache/bump"))[0] == 200
        assert await both() == ["miss", "miss"]
        assert (await admin(live, "POST", "/cache/bump?model=m&prompt=p"))[0] == 400
        status, stats = await admin(live, "GET", "/cache/stats")
        assert (status, stats["bumps"], stats["entries"]) == (200, 2, 5)


async def test_hits_are_a_source_of_their_own(tmp_path: Path) -> None:
    async with running(tmp_path, ON, ENGINES) as live:
        for _ in range(4):
            await live.ask(TOLD)
        told = await live.metrics()
        assert 'tidegate_cache_requests_total{class="interactive",result="hit"} 3.0' in told
        assert 'tidegate_slo_requests_total{class="interactive",result="cached"} 3.0' in told
        assert 'tidegate_throughput_tokens_total{class="interactive"} 6.0' in told
        assert 'tidegate_cached_tokens_total{class="interactive"} 18.0' in told
        counted = re.findall(r'(\w+)_count\{backend="cache",[^}]*\} ([0-9.]+)', told) + re.findall(
            r'(\w+)_count\{[^}]*backend="cache"[^}]*\} ([0-9.]+)', told
        )
        assert {name for name, count in counted if float(count)} == {"tidegate_e2e_seconds"}
        assert "tidegate_cache_entries 1.0" in told


async def test_embeddings_are_kept_one_by_one(tmp_path: Path) -> None:
    async with running(tmp_path, ON, ENGINES) as live:

        async def embed(*inputs: str) -> tuple[str, list[Any], int]:
            answer = await live.send("POST", "/v1/embeddings", {"model": "m", "input": list(inputs)})
            assert answer.status == 200
            told = json.loads(answer.body)
            assert [entry["index"] for entry in told["data"]] == list(range(len(inputs)))
            return said(answer), [entry["embedding"] for entry in told["data"]], told["usage"]["prompt_tokens"]

        first, (one, two), tokens = await embed("one", "two two")
        assert first == "miss"
        assert await embed("one", "two two") == ("hit", [one, two], tokens)
        how, vectors, _ = await embed("two two", "three", "one")
        assert how == "miss"
        assert (vectors[0], vectors[2]) == (two, one)
        assert (await embed("three"))[:2] == ("hit", [vectors[1]])
        posts = [one["body"] for one in live.sims["a"].recorder.as_json() if one["method"] == "POST"]
        assert [json.loads(b64decode(body))["input"] for body in posts] == [["one", "two two"], ["three"]]


async def test_a_replay_may_have_a_pace(tmp_path: Path) -> None:
    classes = "classes:\n  - {name: interactive, cache: {replay: paced 100/s}}\n"
    async with running(tmp_path, ON + classes, ENGINES) as live:
        first = await live.ask({**GREEDY, "max_tokens": 30})
        loop = asyncio.get_running_loop()
        began = loop.time()
        again = await live.ask({**GREEDY, "max_tokens": 30})
        took_s = loop.time() - began
        assert said(again) == "hit"
        assert bare(again.body) == bare(first.body)
        assert took_s > 0.25  # about 33 events at 100/s
