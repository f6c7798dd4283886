"""Every other route of the official client, and routes nobody knows."""

import hashlib
import io

import pytest

from tests.dropin.conftest import client_of

PROMPTS = {
    "string": "Once",
    "strings": ["Once", "Twice"],
    "tokens": [1, 2, 3],
    "token lists": [[1, 2], [3]],
}


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS.keys())
class TestCompletions:
    def test_non_stream(self, same, prompt):
        result = same(lambda client: client.completions.create(model="fake-model", prompt=prompt))
        assert result["choices"][0]["text"]

    def test_stream(self, same, prompt):
        chunks = same(lambda client: list(client.completions.create(model="fake-model", prompt=prompt, stream=True)))
        assert all(chunk["choices"] for chunk in chunks)


@pytest.mark.parametrize("given", PROMPTS.values(), ids=PROMPTS.keys())
@pytest.mark.parametrize("encoding", [None, "float", "base64"])
def test_embeddings(same, arrived, given, encoding):
    more = {"encoding_format": encoding} if encoding else {}
    result = same(lambda client: client.embeddings.create(model="org/fake-embed", input=given, **more))
    assert [item["index"] for item in result["data"]] == list(range(len(result["data"])))
    direct, through = arrived()
    assert through.body == direct.body


def test_models_are_listed_from_memory(same, engine):
    listed = same(lambda client: sorted(plain_model(model) for model in client.models.list()))
    assert [name for name, _ in listed] == sorted(engine.models)
    engine.forget()


def plain_model(model):
    return (model.id, model.object)


def test_the_model_list_costs_the_engine_nothing(through, engine):
    before = len(engine.probes)
    for _ in range(30):
        listed = list(through.models.list())
    assert {"id", "object", "created", "owned_by"} <= set(listed[0].model_dump())
    assert len(engine.probes) - before < 10


@pytest.mark.parametrize("name", ["fake-model", "org/fake-embed"])
def test_a_model_is_retrieved_by_id(through, name):
    model = through.models.retrieve(name)
    assert (model.id, model.object) == (name, "model")


@pytest.mark.parametrize("target", ["/v1/models/org/fake-embed", "/v1/models/org%2Ffake-embed", "/models/fake-model"])
def test_a_model_id_with_a_slash_in_either_spelling(proxy, target):
    answer = proxy.ask("GET", target)
    assert answer.status == 200
    assert answer.json()["object"] == "model"


def test_moderations(same):
    assert same(lambda client: client.moderations.create(model="fake-model", input="hi"))["results"]


@pytest.mark.parametrize("route", ["rerank", "score"])
def test_rerank_and_score(same, route):
    body = {"model": "fake-model", "query": "q", "documents": ["a", "b"], "text_1": "q", "text_2": ["a", "b"]}
    result = same(lambda client: client.post(f"/{route}", body=body, cast_to=object))
    assert len(result["results"]) == 2


@pytest.mark.parametrize("method", ["post", "put", "patch"])
def test_a_route_nobody_knows_is_forwarded_as_it_is(same, arrived, method):
    def call(client):
        send = getattr(client, method)
        return send("/future/thing?x=%C3%BC&y=1", body={"model": "fake-model", "a": [1]}, cast_to=object)

    result = same(call)
    assert result["target"] == "/v1/future/thing?x=%C3%BC&y=1"
    assert result["method"] == method.upper()
    direct, through = arrived()
    assert through.body == direct.body


def test_a_route_without_a_body_goes_to_the_only_model(start_pair):
    engine, proxy = start_pair()
    with client_of(proxy.url) as client:
        for method in ("get", "delete"):
            result = getattr(client, method)("/future/thing/7?limit=2", cast_to=object)
            assert (result["method"], result["target"]) == (method.upper(), "/v1/future/thing/7?limit=2")
    assert len(engine.requests) == 2


def test_an_upload_of_audio(same):
    def call(client):
        file = ("speech.wav", io.BytesIO(bytes(range(256)) * 2000), "audio/wav")
        return client.audio.transcriptions.create(model="fake-model", file=file, language="en")

    assert "bytes" in same(call)["text"]


def test_the_bytes_of_an_upload_are_untouched(through, engine):
    sound = hashlib.sha512(b"sound").digest() * 3000
    through.audio.transcriptions.create(model="fake-model", file=("a.wav", sound, "audio/wav"))
    request = engine.requests[-1]
    assert sound in request.body
    assert request.header("content-type").startswith("multipart/form-data; boundary=")


def test_a_binary_answer(same):
    def call(client):
        return client.audio.speech.create(model="fake-model", voice="alloy", input="hi").read()

    assert same(call)[:256] == bytes(range(256))


def test_a_binary_answer_as_a_stream(same):
    def call(client):
        request = {"model": "fake-model", "voice": "alloy", "input": "hi"}
        with client.audio.speech.with_streaming_response.create(**request) as answer:
            return [answer.headers["content-type"], b"".join(answer.iter_bytes())]

    content_type, data = same(call)
    assert content_type == "audio/mpeg"
    assert len(data) > 16_000


def test_images(same):
    assert same(lambda client: client.images.generate(model="fake-model", prompt="a gate"))["data"]


def test_responses(same, arrived):
    result = same(lambda client: client.responses.create(model="fake-model", input="hi"))
    assert result["output"][0]["content"][0]["text"] == "echo: hi"
    direct, through = arrived()
    assert through.body == direct.body


def test_a_stream_of_named_events(same):
    steps = same(lambda client: list(client.responses.create(model="fake-model", input="a b", stream=True)))
    kinds = [step["type"] for step in steps]
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert kinds.count("response.output_text.delta") == 3


def test_the_lines_of_named_events_are_kept(proxy):
    body = {"model": "fake-model", "input": "a", "stream": True}
    answer = proxy.ask("POST", "/v1/responses", body)
    assert answer.complete
    assert answer.body.startswith(b"event: response.created\ndata: {")
    assert b"[DONE]" not in answer.body
