"""Spans and GenAI metrics at a receiver of OTLP: names, units, parents, what engines are told, what is never sent."""

import asyncio
import itertools
import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.request import Request, urlopen

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from proxy.app.candidate import candidate
from proxy.config.loader import load
from tests.integration.test_structured_live import BY_SCHEMA, REPAIRS, Engine, proxied
from tests.support.bed import backend_entry
from tests.support.engine_scripts import SCRIPTS
from tests.support.live_proxy import SimEngine, running
from tests.support.otlp_receiver import attributes, otlp_receiver
from tests.support.patience import eventually
from tests.support.raw_client import request_bytes

PATH = "/v1/chat/completions"
CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "the secret prompt"}]}
STREAM = {**CHAT, "stream": True}
PARENT = "b7ad6b7169203331"
_numbers = itertools.count(1)
SERVER, CLIENT, INTERNAL = 2, 3, 1


def parent(flags="01"):
    """A client's header, and the trace that it names."""
    trace = f"{next(_numbers):032x}"
    return ("traceparent", f"00-{trace}-{PARENT}-{flags}"), trace


@pytest.fixture
def receiver():
    with otlp_receiver() as made:
        yield made


@pytest.fixture
def start(start_proxy, start_backend, receiver):
    """A proxy that sends to the receiver; `more` is its configuration. With its first engine."""

    def started(telemetry=None, entries=None, **more):
        engine = None
        if entries is None:
            engine = start_backend()
            entries = [backend_entry(engine, "alpha", kind="vllm")]
        options = {"endpoint": receiver.url, "interval": "300ms", **(telemetry or {})}
        return start_proxy({"backends": entries, "telemetry": options, **more}), engine

    return started


def spans_of(receiver, trace, count):
    def found():
        spans = receiver.spans_of(trace)
        return spans if len(spans) >= count else None

    return eventually(found, f"{count} spans", 6.0)


def told_to(engine):
    """Headers of the last request of an engine, by their names in lower case."""
    return {name.lower(): value for name, value in engine.wait_for_request().head.fields}


def by_name(spans):
    return {span.name: span for span in spans}


def test_a_stream_is_five_spans_in_order_under_one_of_the_server(start, receiver):
    proxy, engine = start()
    header, trace = parent()
    answer = proxy.ask("POST", PATH, STREAM, [header, ("x-fake", "stream 5 0.05"), ("x-request-id", "traced")])
    assert answer.status == 200
    spans = spans_of(receiver, trace, 4)
    assert [span.name for span in spans] == ["POST chat.completions", "queue", "chat fake-model", "stream"]
    server, _, call, stream = spans
    assert (server.parent_span_id.hex(), server.kind) == (PARENT, SERVER)
    assert {span.parent_span_id for span in spans[1:]} == {server.span_id}
    assert [span.kind for span in spans[1:]] == [INTERNAL, CLIENT, INTERNAL]
    for span in spans[1:]:
        assert server.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= server.end_time_unix_nano
    assert 0.15e9 < stream.end_time_unix_nano - stream.start_time_unix_nano < 5e9
    told = attributes(call.attributes)
    assert told["gen_ai.operation.name"] == "chat"
    assert (told["gen_ai.provider.name"], told["gen_ai.response.model"]) == ("vllm", "fake-model")
    assert (told["tidegate.backend"], told["tidegate.attempt"], told["tidegate.route.reason"]) == ("alpha", 1, "first")
    assert (told["server.address"], told["server.port"]) == ("127.0.0.1", engine.address[1])
    line = proxy.log_line("traced")
    assert told["gen_ai.usage.output_tokens"] == line["completion_tokens"]
    whole = attributes(server.attributes)
    assert (whole["http.response.status_code"], whole["tidegate.outcome"]) == (200, "served")
    assert whole["tidegate.request_id"] == "traced"
    assert abs((server.end_time_unix_nano - server.start_time_unix_nano) / 1e6 - line["e2e_ms"]) < 1.0


def test_the_engine_is_told_the_span_of_its_attempt(start, receiver):
    proxy, engine = start()
    header, trace = parent()
    proxy.ask("POST", PATH, CHAT, [header, ("tracestate", "a=1,b=2")])
    call = by_name(spans_of(receiver, trace, 3))["chat fake-model"]
    headers = told_to(engine)
    assert headers["traceparent"] == f"00-{trace}-{call.span_id.hex()}-01"
    assert headers["tracestate"] == call.trace_state == "a=1,b=2"


def test_a_request_without_a_parent_begins_a_trace(start, receiver):
    proxy, engine = start()
    proxy.ask("POST", PATH, CHAT)
    told = told_to(engine)["traceparent"]
    spans = spans_of(receiver, told.split("-")[1], 3)
    assert by_name(spans)["POST chat.completions"].parent_span_id == b""


def test_the_parents_decision_is_respected(start, receiver):
    proxy, engine = start()
    header, trace = parent("00")
    other, kept = parent("01")
    proxy.ask("POST", PATH, CHAT, [header])
    proxy.ask("POST", PATH, CHAT, [other])
    spans_of(receiver, kept, 3)
    assert receiver.spans_of(trace) == []
    assert [request.header("traceparent") for request in engine.requests][:1] == [header[1]]


def test_nothing_is_sampled_but_what_a_client_wants(start, receiver):
    proxy, _ = start({"sampling": "0%"})
    header, trace = parent()
    proxy.ask("POST", PATH, CHAT)
    proxy.ask("POST", PATH, CHAT, [header])
    spans_of(receiver, trace, 3)
    assert {span.trace_id.hex() for span in receiver.spans} == {trace}


def test_a_retry_is_two_attempts_with_ids_of_their_own(start, start_backend, receiver):
    engines = [start_backend(), start_backend()]
    entries = [backend_entry(engine, name) for engine, name in zip(engines, ("alpha", "beta"), strict=True)]
    proxy, _ = start(entries=entries, routing={"policy": "round_robin"})
    header, trace = parent()
    engines[0].stop()
    for _ in range(2):
        proxy.ask("POST", PATH, CHAT, [header])
    spans = spans_of(receiver, trace, 7)
    calls = [span for span in spans if span.kind == CLIENT]
    failed = [span for span in calls if "error.type" in attributes(span.attributes)]
    assert len(calls) == 3
    assert len({span.span_id for span in calls}) == 3
    assert [attributes(span.attributes)["tidegate.backend"] for span in failed] == ["alpha"]
    assert failed[0].status.code == 2
    assert all(span.status.code == 0 for span in calls if span not in failed)
    again = next(span for span in calls if attributes(span.attributes)["tidegate.attempt"] == 2)
    assert attributes(again.attributes)["tidegate.route.reason"] == "retry"


def test_a_refusal_says_why_and_how_long_it_was_held(start, start_backend, receiver):
    entries = [backend_entry(start_backend(), "alpha", max_concurrency=1)]
    proxy, _ = start(entries=entries, hold={"max_wait": "200ms"})
    header, trace = parent()
    with proxy.connect() as busy:
        busy.send(request_bytes("POST", PATH, CHAT, [("x-fake", "hang")]))
        eventually(lambda: proxy.metrics().total("tidegate_backend_in_flight") == 1, "a full backend")
        assert proxy.ask("POST", PATH, CHAT, [header]).status == 503
    server, queue = spans_of(receiver, trace, 2)
    told = attributes(server.attributes)
    assert told["tidegate.outcome"] == "shed"
    assert told["tidegate.refused"] == told["error.type"] == "hold_timeout"
    assert (queue.name, queue.end_time_unix_nano - queue.start_time_unix_nano > 0.15e9) == ("queue", True)
    assert server.status.code == 2


def test_an_engine_that_breaks_off_is_an_error_of_both(start, receiver):
    proxy, _ = start()
    header, trace = parent()
    proxy.ask("POST", PATH, STREAM, [header, ("x-fake", "stream-then 3 reset")])
    spans = by_name(spans_of(receiver, trace, 4))
    for name in ("POST chat.completions", "chat fake-model", "stream"):
        assert spans[name].status.code == 2, name
        assert name == "stream" or attributes(spans[name].attributes)["error.type"]


def points(receiver, name):
    metric = receiver.metrics()[name]
    data = getattr(metric, metric.WhichOneof("data"))
    return metric, data.data_points


def test_metrics_of_the_conventions(start, receiver):
    proxy, engine = start()
    for _ in range(3):
        assert proxy.ask("POST", PATH, STREAM).status == 200
    assert proxy.ask("POST", PATH, {**CHAT, "model": "nobody"}).status == 404

    def counted():
        found = receiver.metrics().get("gen_ai.server.request.duration")
        return found is not None and sum(point.count for point in found.histogram.data_points) == 4

    eventually(counted, "four requests", 6.0)
    expected = {
        "gen_ai.client.inference.duration": "s",
        "gen_ai.client.inference.time_to_first_chunk": "s",
        "gen_ai.client.inference.time_per_output_chunk": "s",
        "gen_ai.client.inference.usage.input_tokens": "{token}",
        "gen_ai.client.inference.usage.output_tokens": "{token}",
        "gen_ai.server.request.duration": "s",
        "gen_ai.server.time_to_first_token": "s",
        "gen_ai.server.time_per_output_token": "s",
    }
    found = {name: metric.unit for name, metric in receiver.metrics().items()}
    assert expected.items() <= found.items()
    assert not any(name.startswith("gen_ai.client.operation") or name.endswith("token.usage") for name in found)
    _, (duration,) = points(receiver, "gen_ai.client.inference.duration")
    assert (duration.count, len(duration.explicit_bounds), sum(duration.bucket_counts)) == (3, 14, 3)
    told = attributes(duration.attributes)
    assert told == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "fake-model",
        "gen_ai.response.model": "fake-model",
        "server.address": "127.0.0.1",
        "server.port": engine.address[1],
    }
    metric, (tokens,) = points(receiver, "gen_ai.client.inference.usage.output_tokens")
    assert tokens.as_int == proxy.metrics().total("tidegate_tokens_total", direction="completion")
    assert metric.sum.is_monotonic
    _, (chunks,) = points(receiver, "gen_ai.client.inference.time_per_output_chunk")
    assert chunks.count == proxy.metrics().total("tidegate_event_gap_seconds_count")
    _, requests = points(receiver, "gen_ai.server.request.duration")
    served, refused = sorted(requests, key=lambda point: -point.count)
    assert (served.count, refused.count) == (3, 1)
    assert attributes(refused.attributes)["error.type"] == "model_not_found"
    assert "nobody" not in str(receiver.bodies)
    assert receiver.resources[-1]["service.name"] == "tidegate"


@pytest.mark.parametrize("semconv", ["legacy", "both"])
def test_the_older_names_by_option(start, receiver, semconv):
    proxy, _ = start({"semconv": semconv})
    proxy.ask("POST", PATH, STREAM)
    old = {
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.operation.time_per_output_chunk",
        "gen_ai.client.token.usage",
    }
    eventually(lambda: old <= receiver.metrics().keys(), "the older names", 6.0)
    assert ("gen_ai.client.inference.duration" in receiver.metrics()) is (semconv == "both")
    _, usage = points(receiver, "gen_ai.client.token.usage")
    assert {attributes(point.attributes)["gen_ai.token.type"] for point in usage} == {"input", "output"}
    assert {attributes(point.attributes)["gen_ai.system"] for point in usage} == {"vllm"}


def test_the_secret_of_a_header_comes_there_and_nowhere_else(start_proxy, start_backend, receiver):
    options = {
        "endpoint": receiver.url,
        "service_name": "edge",
        "headers": {"Authorization": "Bearer ${OTLP_TOKEN}"},
    }
    config = {"backends": [backend_entry(start_backend(), "alpha")], "telemetry": options}
    proxy = start_proxy(config, env={"OTLP_TOKEN": "s3cret-token"})
    header, trace = parent()
    proxy.ask("POST", PATH, CHAT, [header])
    spans_of(receiver, trace, 3)
    assert receiver.headers[0]["authorization"] == "Bearer s3cret-token"
    assert receiver.headers[0]["content-encoding"] == "gzip"
    assert receiver.resources[0]["service.name"] == "edge"
    assert "s3cret-token" not in proxy.error_text


def test_no_prompt_no_answer_no_key_in_anything_that_is_sent(start, receiver):
    proxy, _ = start()
    for body in (CHAT, STREAM, b'{"the secret prompt'):
        header, trace = parent()
        proxy.ask("POST", f"{PATH}?q=secret-query", body, [header, ("authorization", "Bearer sk-very-secret")])
        spans_of(receiver, trace, 1)
    eventually(lambda: receiver.exports, "metrics", 6.0)
    sent = b"".join(receiver.bodies)
    for secret in (b"sk-very-secret", b"secret prompt", b"echo:", b"secret-query"):
        assert secret not in sent


def test_without_telemetry_the_clients_headers_pass_as_they_came(start_pair):
    engine, proxy = start_pair()
    header, _ = parent()
    for traced in ([header, ("tracestate", "a=1")], [("traceparent", "odd")], []):
        engine.forget()
        proxy.ask("POST", PATH, CHAT, traced)
        headers = told_to(engine)
        assert {name: headers[name] for name, _ in traced} == dict(traced)
        assert ("traceparent" in headers) is bool(traced)


def test_exemplars_name_the_trace(start, receiver):
    proxy, _ = start()
    header, trace = parent()
    proxy.ask("POST", PATH, STREAM, [header])
    unsampled, other = parent("00")
    proxy.ask("POST", PATH, STREAM, [unsampled])
    wanted = {"Accept": "application/openmetrics-text; version=1.0.0"}
    with urlopen(Request(f"{proxy.admin_url}/metrics", headers=wanted), timeout=5.0) as answer:
        shown = answer.read().decode()
    exemplars = {
        family.name
        for family in text_string_to_metric_families(shown)
        for sample in family.samples
        if sample.exemplar is not None and sample.exemplar.labels == {"trace_id": trace}
    }
    assert exemplars == {f"tidegate_{name}_seconds" for name in ("queue", "ttft", "tpot", "e2e")}
    assert other not in shown
    assert trace not in proxy.metrics().text


async def first_hangs(exchange):
    second = exchange.request.header("x-request-id").endswith("-2")
    exchange.arguments = ["0"] if second else []
    await SCRIPTS["slow" if second else "hang"](exchange)


def test_a_hedge_is_two_calls_and_one_of_them_lost(start, start_backend, receiver):
    engines = [start_backend(), start_backend()]
    for engine in engines:
        engine.scripts["first-hangs"] = first_hangs
    entries = [backend_entry(engine, name) for engine, name in zip(engines, ("alpha", "beta"), strict=True)]
    classes = [{"name": "interactive", "hedge": {"after": "100ms", "budget": "50%"}}]
    proxy, _ = start(entries=entries, classes=classes)
    header, trace = parent()
    answer = proxy.ask("POST", PATH, CHAT, [header, ("x-fake", "first-hangs"), ("x-request-id", "hedged")])
    assert answer.status == 200
    calls = [span for span in spans_of(receiver, trace, 4) if span.kind == CLIENT]
    told = {attributes(span.attributes)["tidegate.attempt"]: attributes(span.attributes) for span in calls}
    assert told[2]["tidegate.route.reason"] == "hedge"
    assert sorted(one.get("error.type", "") for one in told.values()) == ["", "lost"]


def put_in_place(live, old, new):
    live.file.write_text(live.file.read_text().replace(old, new))
    loaded = load(live.file, {})
    assert loaded.config is not None, loaded.diagnostics
    live.proxy.configured.prepare(candidate(loaded.config, loaded.rule_lines))()


async def test_another_configuration_sends_elsewhere_and_the_old_receiver_gets_what_was_counted(tmp_path, receiver):
    text = "telemetry: {endpoint: 'URL', interval: 1h}\n"
    with otlp_receiver() as another:
        async with running(tmp_path, text.replace("URL", receiver.url), [SimEngine("a")]) as live:
            assert (await live.ask()).status == 200
            put_in_place(live, receiver.url, receiver.url)
            assert (await live.ask()).status == 200
            put_in_place(live, receiver.url, another.url)
            assert (await live.ask()).status == 200
        for one, requests in ((receiver, 2), (another, 1)):
            await asyncio.to_thread(eventually, lambda one=one: one.exports, "the last totals")
            _, (point,) = points(one, "gen_ai.server.request.duration")
            assert point.count == requests
            own = [span for span in one.spans if span.kind == SERVER]
            assert len(own) == requests


def test_a_prompts_window_is_a_span(start, start_backend, receiver):
    proxy, _ = start(routing={"windows": [{"endpoint": "embeddings", "mode": "fixed", "max_wait": "100ms"}]})
    header, trace = parent()
    answer = proxy.ask("POST", "/v1/embeddings", {"model": "fake-model", "input": "x"}, [header])
    assert answer.status == 200
    spans = by_name(spans_of(receiver, trace, 4))
    window = spans["window"]
    assert 0.08e9 < window.end_time_unix_nano - window.start_time_unix_nano < 2e9
    assert attributes(window.attributes)["tidegate.window.jobs"] == 1
    assert "embeddings fake-model" in spans
    assert re.fullmatch("[0-9a-f]{16}", window.span_id.hex())


def test_two_that_go_as_one_call_have_a_tree_each_and_the_engine_is_told_of_the_first(start, receiver):
    proxy, engine = start(routing={"windows": [{"endpoint": "embeddings", "mode": "fixed", "max_wait": "300ms"}]})
    engine.forget()
    asked = [parent() for _ in range(2)]
    body = {"model": "fake-model", "input": "x"}
    with ThreadPoolExecutor(2) as pool:
        send = partial(proxy.ask, "POST", "/v1/embeddings", body)
        answers = list(pool.map(lambda one: send([one[0]]), asked))
    assert [answer.status for answer in answers] == [200, 200]
    trees = [by_name(spans_of(receiver, trace, 4)) for _, trace in asked]
    assert [attributes(tree["window"].attributes)["tidegate.window.jobs"] for tree in trees] == [2, 2]
    (call,) = [request for request in engine.requests if not request.is_probe]
    told = call.header("traceparent").split("-")[1:3]
    spans = [tree["embeddings fake-model"] for tree in trees]
    assert told in [[span.trace_id.hex(), span.span_id.hex()] for span in spans]


class Told(Engine):
    """Remembers what it was told of traces."""

    def __init__(self, *texts):
        super().__init__(*texts)
        self.parents = []

    async def chat(self, request):
        self.parents.append(request.headers["traceparent"])
        return await super().chat(request)


async def test_an_answer_that_is_repaired_is_two_attempts_of_one_tree(tmp_path, receiver):
    engine = Told("{}")
    async with proxied(tmp_path, engine, f"{REPAIRS}telemetry: {{endpoint: '{receiver.url}'}}\n") as live:
        engine.texts, engine.parents = ['{"n": "one"}', '{"n": 1}'], []
        header, trace = parent()
        answer = await live.ask({"stream": False, "response_format": BY_SCHEMA}, **dict([header]))
        assert answer.headers["x-tidegate-structured"] == "valid; repair=done"
        spans = await asyncio.to_thread(spans_of, receiver, trace, 4)
    calls = [span for span in spans if span.kind == CLIENT]
    assert engine.parents == [f"00-{trace}-{span.span_id.hex()}-01" for span in calls]
    assert [attributes(span.attributes)["tidegate.route.reason"] for span in calls] == ["first", "again"]
    assert calls[0].end_time_unix_nano <= calls[1].start_time_unix_nano
