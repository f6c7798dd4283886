"""What two short answers of an engine tell, and which engines are not asked for them."""

import json
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest
from aiohttp import web

from proxy.app.doctor.judge import Seen
from proxy.app.doctor.taste import Tasted, of_taste, taste
from proxy.config.backend import BackendOptions

LIST = {"data": [{"id": "a"}, {"id": "m"}]}
SEEN = Seen("vllm", 200, "", LIST, "", {"/metrics": b""})
GOOD = Tasted("m", "", 200, "", 0.05, {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 8}})


def backend(url: str = "http://127.0.0.1:1", **options: object) -> BackendOptions:
    return BackendOptions.model_validate({"url": url, "name": "e", **options})


def told(tasted: Tasted, seen: Seen = SEEN) -> dict[str, str]:
    return {one.id: one.do for one in of_taste(backend(), seen, tasted)}


def test_a_good_one_is_only_noted() -> None:
    assert list(told(GOOD)) == ["engine-tried"]


@pytest.mark.parametrize("details", [None, {}, {"cached_tokens": None}])
def test_cached_tokens_that_a_flag_would_tell(details: object) -> None:
    silent = GOOD._replace(usage={"prompt_tokens": 9, "prompt_tokens_details": details})
    assert told(silent)["engine-cached-untold"] == "start it with --enable-prompt-tokens-details"
    assert "engine-cached-untold" not in told(silent, SEEN._replace(kind="ollama"))


@pytest.mark.parametrize(
    ("tasted", "found"),
    [
        (GOOD._replace(usage=None), "engine-usage-untold"),
        (GOOD._replace(usage=None, refuses_usage=True), "engine-refuses-usage"),
        (GOOD._replace(status=400, message="no template"), "engine-try-refused"),
        (Tasted("m", is_late=True), "engine-try-late"),
        (Tasted(why_not="it sleeps"), "engine-not-tried"),
    ],
)
def test_what_is_wrong(tasted: Tasted, found: str) -> None:
    assert found in told(tasted)


Engine = Callable[[Callable[[dict], web.Response]], AsyncIterator[str]]


@pytest.fixture
async def engine() -> AsyncIterator[tuple[list[dict], Callable[[Callable], None], str]]:
    """What it was asked, how to say what it answers, and its URL."""
    asked: list[dict] = []
    answers: list[Callable[[dict], web.Response]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(await request.json())
        return answers[-1](asked[-1])

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield asked, answers.append, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def stream(usage: object) -> web.Response:
    text = f'data: {{"choices":[]}}\n\ndata: {json.dumps({"usage": usage})}\n\ndata: [DONE]\n\n'
    return web.Response(text=text, content_type="text/event-stream")


async def tasted(url: str, seen: Seen = SEEN, within_s: float = 5.0, **options: object) -> Tasted:
    async with aiohttp.ClientSession() as session:
        return await taste(session, backend(url, **options), seen, within_s)


async def test_it_is_asked_twice_for_one_token(engine) -> None:
    asked, answers, url = engine
    answers(lambda body: stream({"prompt_tokens": 5, "n": len(asked)}))
    found = await tasted(url, models=["public"], aliases={"public": "m"})
    assert (found.status, found.usage, found.model) == (200, {"prompt_tokens": 5, "n": 2}, "m")
    assert [(one["max_tokens"], one["model"]) for one in asked] == [(1, "m")] * 2
    assert asked[0] == asked[1]


async def test_one_that_refuses_to_be_asked_for_usage(engine) -> None:
    asked, answers, url = engine
    refusal = web.json_response({"detail": "stream_options: extra field"}, status=422)
    answers(lambda body: refusal if "stream_options" in body else stream(None))
    assert (await tasted(url)).refuses_usage
    assert len(asked) == 2


async def test_one_that_refuses_everything(engine) -> None:
    _, answers, url = engine
    answers(lambda body: web.json_response({"error": {"message": "no chat template"}}, status=400))
    found = await tasted(url)
    assert (found.status, found.message) == (400, "no chat template")


async def test_one_that_is_gone_or_late(engine) -> None:
    _, answers, url = engine
    answers(lambda body: stream(None))
    assert (await tasted(url, within_s=0.0)).is_late
    assert (await tasted("http://127.0.0.1:1")).message


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (SEEN._replace(kind="llama_cpp", bodies={"/props": b'{"is_sleeping":true}'}), "it sleeps"),
        (SEEN._replace(bodies={"/metrics": b'vllm:engine_sleep_state{sleep_state="awake"} 0.0\n'}), "it sleeps"),
        (SEEN._replace(kind="ollama", bodies={"/api/ps": b'{"models":[]}'}), "no model of it is in memory"),
        (SEEN._replace(models={"data": []}), "it lists no model"),
    ],
)
async def test_those_that_are_left_alone(engine, seen: Seen, why: str) -> None:
    asked, _, url = engine
    assert (await tasted(url, seen)).why_not == why
    assert not asked


async def test_of_ollama_a_model_in_memory(engine) -> None:
    asked, answers, url = engine
    answers(lambda body: stream({}))
    await tasted(url, SEEN._replace(kind="ollama", bodies={"/api/ps": b'{"models":[{"name":"m"}]}'}))
    assert {one["model"] for one in asked} == {"m"}
