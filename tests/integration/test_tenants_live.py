"""Quotas and models of tenants over sockets, as an SDK sees them."""

import asyncio
import json
from hashlib import sha256
from pathlib import Path
from time import monotonic

import aiohttp
import anthropic
import openai
import pytest

from proxy.sim.engine.spec import PRESETS
from tests.support.live_proxy import CHAT, Live, SimEngine, running
from tests.support.patience import eventually

KEY, OTHER = "sk-first", "sk-other"
ENGINES = (SimEngine("a", models=("m", "hidden")),)


def tenant(key: str) -> str:
    return sha256(key.encode()).hexdigest()[:8]


def limited(**limits: object) -> str:
    pairs = ", ".join(f"{name}: {value}" for name, value in limits.items())
    return f"headers: {{forward: ['x-sim-*']}}\nrouting:\n  tenants:\n    - {{tenant: '{tenant(KEY)}', {pairs}}}\n"


async def listed(live: Live, key: str) -> list[str]:
    headers = {"authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession() as s, s.get(f"{live.proxy.listen_url}/v1/models", headers=headers) as answer:
        return [entry["id"] for entry in (await answer.json())["data"]]


async def test_requests_per_minute(tmp_path: Path) -> None:
    async with running(tmp_path, limited(requests_per_minute=2), ENGINES) as live:
        for left in (1, 0):
            answer = await live.ask(authorization=f"Bearer {KEY}")
            assert answer.status == 200
            assert answer.headers["x-ratelimit-limit-requests"] == "2"
            assert answer.headers["x-ratelimit-remaining-requests"] == str(left)
            assert answer.headers["x-ratelimit-reset-requests"].endswith("s")
            assert "x-ratelimit-limit-tokens" not in answer.headers
        refused = await live.ask(authorization=f"Bearer {KEY}")
        assert refused.status == 429
        error = json.loads(refused.body)["error"]
        assert (error["code"], error["param"]) == ("rate_limit_exceeded", None)
        assert "Rate limit reached" in error["message"]
        assert KEY not in error["message"]
        assert 1 <= int(refused.headers["retry-after"]) <= 30
        assert refused.headers["x-ratelimit-remaining-requests"] == "0"
        assert "x-should-retry" not in refused.headers
        assert (refused.route["backend"], refused.route["reason"]) == ("none", "quota")
        free = await live.ask(authorization=f"Bearer {OTHER}")
        assert free.status == 200
        assert not any(name.startswith("x-ratelimit") for name in free.headers)
        told = await live.metrics()
        assert 'tidegate_refusals_total{reason="quota"} 1.0' in told
        assert f'tidegate_tenant_quota_left{{tenant="{tenant(KEY)}",what="requests"}} 0.0' in told
        assert len(live.sims["a"].recorder.as_json()) - _probes(live) == 3, "nothing of it reached the engine"


def _probes(live: Live) -> int:
    return sum(one["method"] == "GET" for one in live.sims["a"].recorder.as_json())


async def test_tokens_are_settled_by_the_engines_usage(tmp_path: Path) -> None:
    async with running(tmp_path, limited(tokens_per_minute=100_000), ENGINES) as live:
        answer = await live.ask({"stream": False, "max_tokens": 50}, authorization=f"Bearer {KEY}")
        usage = json.loads(answer.body)["usage"]
        assert int(answer.headers["x-ratelimit-remaining-tokens"]) < 100_000, "reserved while it runs"
        view = live.proxy._scheduler.quota(tenant(KEY), monotonic())
        assert view is not None
        assert view.tokens is not None
        used = 100_000 - view.tokens.left
        assert used == pytest.approx(usage["total_tokens"], abs=1 + 100_000 / 60)
        assert view.concurrent == 0


async def test_a_prompt_above_the_limit_is_not_to_be_repeated(tmp_path: Path) -> None:
    async with running(tmp_path, limited(tokens_per_minute=20), ENGINES) as live:
        refused = await live.ask(authorization=f"Bearer {KEY}")
        assert refused.status == 429
        assert refused.headers["x-should-retry"] == "false"
        assert "retry-after" not in refused.headers


async def test_at_once(tmp_path: Path) -> None:
    async with running(tmp_path, limited(max_concurrent=1), ENGINES) as live:
        slow = asyncio.ensure_future(live.ask(authorization=f"Bearer {KEY}", x_sim_delay_ms="500"))
        scheduler = live.proxy._scheduler
        await asyncio.to_thread(eventually, lambda: scheduler.counts(monotonic()).in_flight == 1, "one is open")
        assert (await live.ask(authorization=f"Bearer {KEY}")).status == 429
        assert (await live.ask(authorization=f"Bearer {OTHER}")).status == 200
        assert (await slow).status == 200
        assert (await live.ask(authorization=f"Bearer {KEY}")).status == 200


async def test_a_client_that_leaves_gives_its_place_back(tmp_path: Path) -> None:
    async with running(tmp_path, limited(max_concurrent=1), ENGINES) as live:
        scheduler = live.proxy._scheduler
        slow = asyncio.ensure_future(live.ask(authorization=f"Bearer {KEY}", x_sim_delay_ms="60000"))
        await asyncio.to_thread(eventually, lambda: scheduler.counts(monotonic()).in_flight == 1, "one is open")
        slow.cancel()
        await asyncio.to_thread(eventually, lambda: scheduler.counts(monotonic()).in_flight == 0, "it has gone")
        assert (await live.ask(authorization=f"Bearer {KEY}")).status == 200


async def test_models_of_others_are_not_there(tmp_path: Path) -> None:
    async with running(tmp_path, limited(models="[m]"), ENGINES) as live:
        absent = await live.ask({"model": "gone"}, authorization=f"Bearer {KEY}")
        hidden = await live.ask({"model": "hidden"}, authorization=f"Bearer {KEY}")
        assert absent.status == hidden.status == 404
        assert hidden.body == absent.body.replace(b'"gone\\"', b'"hidden\\"'), "as if absent"
        assert json.loads(hidden.body)["error"]["code"] == "model_not_found"
        assert await listed(live, KEY) == ["m"]
        assert await listed(live, OTHER) == ["hidden", "m"]
        assert (await live.ask({"model": "m"}, authorization=f"Bearer {KEY}")).status == 200
        assert (await live.ask({"model": "hidden"}, authorization=f"Bearer {OTHER}")).status == 200
        url = f"{live.proxy.listen_url}/v1/models/hidden"
        headers = {"authorization": f"Bearer {KEY}"}
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
            assert answer.status == 404


async def test_no_error_names_models_of_others(tmp_path: Path) -> None:
    """A name that fits what a tenant may use, and that nobody serves: what is there else is not said."""
    async with running(tmp_path, limited(models="['m*', 'hid']"), ENGINES) as live:
        for absent in ("mx", "hid", "m-hidden-1"):
            answer = await live.ask({"model": absent}, authorization=f"Bearer {KEY}")
            assert answer.status == 404
            assert b"hidden" not in answer.body.replace(absent.encode(), b"")
        told = await live.ask({"model": "hid"}, authorization=f"Bearer {OTHER}")
        assert b"did you mean: hidden" in told.body, "who may use all of them is helped"


async def test_nobody_comes_by_a_model_of_others_by_writing_it_oddly(tmp_path: Path) -> None:
    """Engines read JSON and forms in ways of their own: Ollama takes `Model` for `model`."""
    async with running(tmp_path, limited(models="[m]"), ENGINES) as live:
        for odd in ({"model": "m", "Model": "hidden"}, {"model": "m", "MODEL": "hidden"}):
            asked = {**CHAT, **odd}
            assert (await live.send("POST", "/v1/chat/completions", asked, authorization=f"Bearer {KEY}")).status == 400
            assert (
                await live.send("POST", "/v1/chat/completions", asked, authorization=f"Bearer {OTHER}")
            ).status == 200
        form = b"".join(
            b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\n%b\r\n' % n for n in (b"m", b"hidden")
        )
        headers = {"authorization": f"Bearer {KEY}", "content-type": "multipart/form-data; boundary=x"}
        url = f"{live.proxy.listen_url}/v1/audio/transcriptions"
        body = form + b"--x--\r\n"
        async with aiohttp.ClientSession() as s, s.post(url, data=body, headers=headers) as answer:
            assert (answer.status, (await answer.json())["error"]["param"]) == (400, "model")


async def test_an_sdk_raises_its_rate_limit_error(tmp_path: Path) -> None:
    async with running(tmp_path, limited(requests_per_minute=1), ENGINES) as live:
        client = openai.AsyncOpenAI(base_url=f"{live.proxy.listen_url}/v1", api_key=KEY, max_retries=0)
        async with client:
            body = {**CHAT, "stream": False}
            await client.chat.completions.create(**body)  # type: ignore[call-overload]
            with pytest.raises(openai.RateLimitError) as refused:
                await client.chat.completions.create(**body)  # type: ignore[call-overload]
        assert refused.value.code == "rate_limit_exceeded"


async def test_each_api_is_told_in_its_own_words(tmp_path: Path) -> None:
    limits = limited(requests_per_minute=10, input_tokens_per_minute=50_000, output_tokens_per_minute=5_000)
    async with running(tmp_path, limits, ENGINES) as live:
        answer = await live.ask(authorization=f"Bearer {KEY}")
        assert answer.headers["x-ratelimit-remaining-requests"] == "9"
        assert answer.headers["x-ratelimit-limit-input-tokens"] == "50000"
        assert answer.headers["x-ratelimit-limit-output-tokens"] == "5000"
        assert not any(name.startswith("anthropic") for name in answer.headers)
        body = {"model": "m", "max_tokens": 4, "messages": [{"role": "user", "content": "hi"}]}
        answer = await live.send("POST", "/v1/messages", body, x_api_key=KEY)
        assert answer.headers["anthropic-ratelimit-requests-limit"] == "10"
        assert answer.headers["anthropic-ratelimit-output-tokens-reset"].endswith("Z")
        assert not any(name.startswith("x-ratelimit") for name in answer.headers)


async def test_a_stream_that_is_cut_pays_for_what_had_come(tmp_path: Path) -> None:
    limits = limited(output_tokens_per_minute=100_000, max_streams=1)
    async with running(tmp_path, limits, (SimEngine("a", spec=PRESETS["low_latency"]),)) as live:
        scheduler = live.proxy._scheduler
        url, headers = f"{live.proxy.listen_url}/v1/chat/completions", {"authorization": f"Bearer {KEY}"}
        async with aiohttp.ClientSession() as session:
            body = {**CHAT, "max_tokens": 20_000}
            async with session.post(url, json=body, headers=headers) as answer:
                for _ in range(10):
                    await answer.content.readany()
                assert (await live.ask(**headers)).status == 429, "one stream at once"
                assert (await live.ask({"stream": False}, **headers)).status == 200
                view = scheduler.quota(tenant(KEY), monotonic())
                assert view is not None
                assert view.output_tokens is not None
                reserved = 100_000 - view.output_tokens.left
                answer.close()
        await asyncio.to_thread(eventually, lambda: scheduler.counts(monotonic()).in_flight == 0, "it has gone")
        view = scheduler.quota(tenant(KEY), monotonic())
        assert view is not None
        assert view.output_tokens is not None
        assert view.streams == 0
        assert 100_000 - view.output_tokens.left < max(1, reserved), "what had not come is given back"
        assert (await live.ask(**headers)).status == 200


async def test_a_day_that_is_used_up(tmp_path: Path) -> None:
    async with running(tmp_path, limited(tokens_per_day=700), ENGINES) as live:
        client = openai.AsyncOpenAI(base_url=f"{live.proxy.listen_url}/v1", api_key=KEY)
        async with client:
            body = {**CHAT, "stream": False}
            await client.chat.completions.create(**body)  # type: ignore[call-overload]
            with pytest.raises(openai.RateLimitError) as refused:
                await client.chat.completions.create(**body)  # type: ignore[call-overload]
        assert refused.value.code == "insufficient_quota"
        assert int(refused.value.response.headers["retry-after"]) <= 86_400
        assert refused.value.response.headers["x-should-retry"] == "false"
        told = await live.metrics()
        assert 'tidegate_refusals_total{reason="quota"} 1.0' in told, "it was asked once"
        assert len(live.sims["a"].recorder.as_json()) - _probes(live) == 1


async def test_an_sdk_that_waits_as_it_is_told_is_served(tmp_path: Path) -> None:
    async with running(tmp_path, limited(requests_per_minute=60, max_concurrent=1), ENGINES) as live:
        client = openai.AsyncOpenAI(base_url=f"{live.proxy.listen_url}/v1", api_key=KEY, max_retries=2)
        other = anthropic.AsyncAnthropic(base_url=live.proxy.listen_url, api_key=KEY, max_retries=0)
        headers = {"x-sim-delay-ms": "300"}
        async with client, other:
            body = {**CHAT, "stream": False}
            slow = asyncio.ensure_future(client.chat.completions.create(**body, extra_headers=headers))  # type: ignore[call-overload]
            scheduler = live.proxy._scheduler
            await asyncio.to_thread(eventually, lambda: scheduler.counts(monotonic()).in_flight == 1, "one is open")
            with pytest.raises(anthropic.RateLimitError) as refused:
                await other.messages.create(model="m", max_tokens=2, messages=[{"role": "user", "content": "hi"}])
            assert refused.value.body["error"]["type"] == "rate_limit_error"  # type: ignore[index]
            assert (await client.chat.completions.create(**body)).choices  # type: ignore[call-overload]
            assert (await slow).choices


async def test_limits_of_one_model_and_class(tmp_path: Path) -> None:
    limits = limited(limits="[{model: hidden, requests_per_minute: 1}, {class: bulk, requests_per_minute: 1}]")
    async with running(tmp_path, limits, ENGINES) as live:
        ask = {"authorization": f"Bearer {KEY}"}
        assert (await live.ask({"model": "hidden"}, **ask)).status == 200
        refused = await live.ask({"model": "hidden"}, **ask)
        assert refused.status == 429
        assert b"for model hidden" in refused.body
        assert (await live.ask(**ask)).status == 200
        assert (await live.ask(x_tidegate_class="bulk", **ask)).status == 200
        assert b"for class bulk" in (await live.ask(x_tidegate_class="bulk", **ask)).body
        status, told = await live.explain({**CHAT, "model": "hidden"}, **ask)
        assert (status, told["decision"]["reason"]) == (200, "quota")
        assert told["decision"]["quota"]["requests"]["left"] == 0
