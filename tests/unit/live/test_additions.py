"""What an engine is asked for beyond its client's wish, and when it minds."""

import asyncio
from time import monotonic

import pytest

from proxy.config.backend import BackendOptions
from proxy.engines.registry import DIALECTS
from proxy.live.additions import minds_usage, undo
from proxy.live.call import Call
from proxy.live.relay import Relay
from proxy.live.upstream.backends import Upstream
from proxy.live.watch import Watch
from proxy.model.classes import StreamSettings
from proxy.model.endpoint import Endpoint
from proxy.model.limits import UpstreamLimits
from proxy.model.request import Job, Request
from proxy.model.timeline import Timeline
from proxy.wire.accounting import Undo
from proxy.wire.meter import Meter
from proxy.wire.plan import StreamPlan


def engine(kind: str = "auto", **options: str) -> Upstream:
    config = BackendOptions.model_validate({"url": "http://127.0.0.1:9", "kind": kind, **options})
    loop = asyncio.get_running_loop()
    return Upstream(config, UpstreamLimits(), loop, Watch(loop, monotonic))


def call(body: bytes = b'{"messages":[]}', endpoint: Endpoint = Endpoint.CHAT, *, stream: bool = False) -> Call:
    request = Request("r", "POST", "/", endpoint, "m", stream=stream, json=True)
    return Call(request, Job(1, "m"), [], body, StreamSettings(), Timeline(0.0), Meter())


async def test_usage_of_streams_and_streams_of_whole_answers() -> None:
    assert undo(call(stream=True), engine("vllm"), None) is Undo.ALL
    assert undo(call(), engine("vllm"), None) is Undo.NOTHING
    assert undo(call(), engine("llama_cpp"), None) is Undo.STREAM
    assert undo(call(), engine("transformers"), None) is Undo.STREAM
    assert undo(call(b'{"stop":"x"}'), engine("llama_cpp"), None) is Undo.NOTHING
    assert undo(call(endpoint=Endpoint.EMBEDDINGS), engine("llama_cpp"), None) is Undo.NOTHING
    assert undo(call(endpoint=Endpoint.MESSAGES), engine("llama_cpp"), None) is Undo.STREAM
    assert undo(call(endpoint=Endpoint.RESPONSES), engine("transformers"), None) is Undo.STREAM
    assert undo(call(endpoint=Endpoint.RESPONSES), engine("vllm"), None) is Undo.NOTHING


@pytest.mark.parametrize(
    ("options", "kind", "expected"),
    [
        ({"stream_upstream": "never"}, "llama_cpp", Undo.NOTHING),
        ({"stream_upstream": "always"}, "vllm", Undo.STREAM),
        ({"usage": "never"}, "llama_cpp", Undo.NOTHING),
    ],
)
async def test_the_operator_has_the_last_word(options: dict[str, str], kind: str, expected: Undo) -> None:
    assert undo(call(), engine(kind, **options), None) is expected


async def test_what_was_in_vain_is_not_tried_again_for_that_model() -> None:
    backend = engine("llama_cpp")
    backend.streamed_whole("m", Endpoint.CHAT, fits=False)
    assert undo(call(), backend, None) is Undo.NOTHING
    assert undo(call(endpoint=Endpoint.MESSAGES), backend, None) is Undo.STREAM
    assert backend.streams_whole("other", Endpoint.CHAT) is DIALECTS["llama_cpp"].streamed_whole


async def test_one_answer_that_does_not_fit_is_asked_for_as_it_came_and_others_go_on() -> None:
    backend, odd = engine("llama_cpp"), call()
    backend.streamed_whole("m", Endpoint.CHAT, fits=True)
    backend.streamed_whole("m", Endpoint.CHAT, fits=False)
    odd.has_whole_form = True
    assert undo(odd, backend, None) is Undo.NOTHING
    assert undo(call(), backend, None) is Undo.STREAM


async def test_an_engine_minds_usage_where_it_names_it() -> None:
    backend, asked = engine("vllm"), call(stream=True)
    plan, loop = StreamPlan(StreamSettings(), 1), asyncio.get_running_loop()
    relay = Relay("a", plan, 1000, Timeline(0.0), Meter(), loop, monotonic)
    relay.on_head(400, [], 0.0)
    relay.on_body(b'{"error":"stream_options: extra inputs"}', 0.0)
    relay.on_end()
    assert minds_usage(relay, asked, backend)
    relay.status = 200
    assert not minds_usage(relay, asked, backend)
    assert backend.has_told_usage("m")
