"""TGI's own routes, by its source, and SGLang's `/generate`: counts, ends, overload inside a stream, who is asked."""

import json

import pytest

from tests.support.bed import backend_entry
from tests.support.fake_engine import Answer, event, json_answer, send_answer, stream_head
from tests.support.http_bytes import LAST_CHUNK, chunk
from tests.support.raw_client import RawConnection, request_bytes

ASKED = {"inputs": "one two three", "parameters": {"max_new_tokens": 4}}
COUNTED = [("x-prompt-tokens", "3"), ("x-generated-tokens", "4"), ("x-compute-type", "gpu")]
OVERLOADED = {"error": "Model is overloaded", "error_type": "overloaded"}
MODEL = {"id": "org/model", "object": "model", "created": 0, "owned_by": "org/model"}
LIMITS = {"upstream": {"idle": "500ms", "first_byte": "5s"}}


def tokens(count):
    for number in range(count):
        token = {"id": number, "text": f" t{number}", "logprob": -0.5, "special": False}
        yield {"index": number + 1, "token": token, "generated_text": None, "details": None}


def all_events(count=4):
    *some, last = tokens(count)
    details = {"finish_reason": "length", "generated_tokens": count, "seed": None, "input_length": 3}
    return [*some, last | {"generated_text": "t0 t1", "details": details}]


async def tgi(exchange):
    request = exchange.request
    if request.path == "/v1/models":
        await send_answer(exchange, json_answer({"object": "list", "data": [MODEL]}))
    elif request.path == "/info":
        await send_answer(
            exchange, json_answer({"model_id": "org/model", "version": "3.3.6", "max_total_tokens": 4096})
        )
    elif request.path == "/generate_stream" or (request.path == "/" and request.json().get("stream")):
        await send_answer(exchange, Answer(200, events=[event(one) for one in all_events()]))
    elif request.path in ("/generate", "/"):
        said = {"generated_text": "t0 t1"}
        await send_answer(exchange, json_answer([said] if request.path == "/" else said, headers=COUNTED))
    else:
        await send_answer(exchange, Answer(404, b""))


async def breaks(exchange):
    """`breaks HOW`: two events, and then what is named."""
    first = b"".join(chunk(event(one)) for one in all_events()[:2])
    how = exchange.arguments[0]
    await exchange.send(stream_head() + (b"" if how == "overload" else first))
    if how == "reset":
        exchange.reset()
    elif how == "cut":
        await exchange.send(chunk(event(all_events()[2])[:40]) + LAST_CHUNK)
    elif how == "error":
        failed = {"error": "Request failed during generation: x", "error_type": "generation"}
        await exchange.send(chunk(event(failed)) + LAST_CHUNK)
    elif how == "overload":
        await exchange.send(chunk(event(OVERLOADED)) + LAST_CHUNK)
    else:
        await exchange.send(LAST_CHUNK)


@pytest.fixture(scope="module")
def pair(bed):
    with bed.backend(tgi, models=("org/model",)) as engine:
        engine.scripts["breaks"] = breaks
        with bed.proxy({"backends": [backend_entry(engine, "alpha")], "limits": LIMITS}) as proxy:
            yield engine, proxy


@pytest.mark.parametrize(
    ("path", "more"), [("/generate", {}), ("/generate_stream", {}), ("/", {}), ("/", {"stream": True})]
)
def test_bytes_are_the_same_and_counts_the_engines(pair, path, more):
    engine, proxy = pair
    with RawConnection(engine.address) as direct:
        direct.send(request_bytes("POST", path, ASKED | more))
        expected = direct.answer().body
    name = f"tgi{path[1:]}{len(more)}"
    got = proxy.ask("POST", path, ASKED | more, [("x-request-id", name), ("x-tidegate-class", "bulk")])
    assert (got.status, got.body) == (200, expected)
    log = proxy.log_line(name)
    assert (log["prompt_tokens"], log["completion_tokens"], log["class"]) == (3, 4, "bulk")
    assert (log["outcome"], log["model_served"]) == ("served", "org/model")
    assert (log.get("ttft_ms") is not None) is (path == "/generate_stream" or bool(more))


@pytest.mark.parametrize("how", ["end", "cut", "reset", "error"])
def test_a_stream_that_breaks_says_so_in_its_words(pair, how):
    _, proxy = pair
    answer = proxy.ask("POST", "/generate_stream", ASKED, [("x-fake", f"breaks {how}"), ("x-request-id", how)])
    first = b"".join(map(event, all_events()[:2]))
    assert answer.complete
    assert answer.body.startswith(first)
    last = answer.body.removeprefix(first)
    assert (last.startswith(b"data: "), last.count(b"\n\n")) == (True, 1)
    told = json.loads(last.removeprefix(b"data: "))
    assert (set(told), told["error_type"]) == ({"error", "error_type"}, "generation")
    assert proxy.log_line(how)["outcome"] == "failed"


def test_our_refusals_are_in_its_words(pair):
    _, proxy = pair
    answer = proxy.ask("POST", "/generate", b"{", [("content-type", "application/json")])
    assert (answer.status, answer.json()["error_type"]) == (400, "validation")
    full = proxy.ask("POST", "/generate_stream", ASKED, [("x-fake", "breaks overload")])
    assert full.status in (429, 503)
    assert full.json()["error_type"] == "overloaded"


def test_what_it_says_of_itself_is_read_and_its_root_is_healthy(pair):
    engine, proxy = pair
    assert proxy.ask("GET", "/info").json()["model_id"] == "org/model"
    assert proxy.ask("POST", "/info", {}).status == 405
    count = len([one for one in engine.received if one.path == "/"])
    assert [proxy.ask(method, "/").status for method in ("GET", "HEAD")] == [200, 200]
    assert len([one for one in engine.received if one.path == "/"]) == count


def test_one_that_is_full_inside_its_stream_is_followed_by_another(start_backend, start_proxy):
    full, free = start_backend(models=("m",)), start_backend(tgi, models=("m",))

    async def is_full(exchange):
        if exchange.request.path == "/v1/models":
            await tgi(exchange)
        else:
            exchange.arguments[:] = ["overload"]
            await breaks(exchange)

    full.default = is_full
    entries = [backend_entry(full, "full", kind="tgi"), backend_entry(free, "free", kind="tgi")]
    proxy = start_proxy({"backends": entries, "routing": {"policy": "round_robin"}}, models=1)
    for _ in range(3):
        answer = proxy.ask("POST", "/generate_stream", ASKED)
        assert (answer.status, answer.body) == (200, b"".join(map(event, all_events())))


def test_sglangs_generate(start_backend, start_proxy):
    meta = {"prompt_tokens": 5, "completion_tokens": 1, "cached_tokens": 4, "finish_reason": None}
    said = [{"text": "a", "meta_info": meta}]
    said.append({"text": "ab", "meta_info": meta | {"completion_tokens": 2, "finish_reason": {"type": "stop"}}})

    async def sglang(exchange):
        body = exchange.request.json() if exchange.request.body else {}
        if exchange.request.path != "/generate":
            listed = [{"id": "m", "object": "model", "created": 1, "owned_by": "sglang"}]
            await send_answer(exchange, json_answer({"object": "list", "data": listed}))
        elif body.get("text") == "wrong":
            await send_answer(exchange, json_answer({"error": {"message": "no"}}, 400))
        elif body.get("stream"):
            await send_answer(exchange, Answer(200, events=[*map(event, said), event("[DONE]")]))
        else:
            await send_answer(exchange, json_answer(said[-1]))

    engine = start_backend(sglang, models=("m",))
    proxy = start_proxy({"backends": [backend_entry(engine, "a", max_tokens=9)]})
    for stream in (False, True):
        body = {"text": "x", "sampling_params": {"max_new_tokens": 99}, "stream": stream}
        answer = proxy.ask("POST", "/generate", body, [("x-request-id", f"sgl{stream}")])
        assert answer.status == 200
        log = proxy.log_line(f"sgl{stream}")
        assert (log["prompt_tokens"], log["completion_tokens"], log["outcome"]) == (5, 2, "served")
        assert engine.requests[-1].json()["sampling_params"] == {"max_new_tokens": 9}
    assert answer.body == b"".join([*map(event, said), event("[DONE]")])
    wrong = proxy.ask("POST", "/generate", {"text": "wrong"})
    assert (wrong.status, wrong.json()) == (400, {"error": {"message": "no"}}), "its own words"
