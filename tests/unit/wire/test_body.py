"""Request bodies, row by row of bad input and at each limit; forms; gzip."""

import gzip
import json
import time
import zlib
from typing import Any

import pytest

from proxy.model.endpoint import Endpoint
from proxy.model.faults import Kind
from proxy.model.limits import ParameterLimits
from proxy.wire.body import decode
from tests.unit.wire.asking import asked, fault_of

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
LIMITS = ParameterLimits()


def chat(**fields: Any) -> bytes:
    return json.dumps(CHAT | fields).encode()


def test_a_chat() -> None:
    body = chat(stream=True, max_tokens=7)
    request = asked(body)
    assert (request.model, request.stream, request.max_tokens, request.body_bytes) == ("m", True, 7, len(body))
    assert (request.id, request.method, request.target) == ("made-by-us", "POST", "/v1/chat/completions")


NOT_OBJECTS = [b"", b"null", b"[]", b'"x"', b"1", b"true", b" "]


@pytest.mark.parametrize("body", NOT_OBJECTS)
def test_b54_not_an_object(body: bytes) -> None:
    assert fault_of(asked, body).kind is Kind.INVALID


NOT_JSON = {
    "truncated": b'{"model": "m"',
    "trailing comma": b'{"model": "m",}',
    "NaN": b'{"model": "m", "a": NaN}',
    "1e999": b'{"model": "m", "a": 1e999}',
    "BOM": b"\xef\xbb\xbf" + chat(),
    "lone surrogate": b'{"model": "\\ud800"}',
    "raw control": b'{"model": "a\x01"}',
    "invalid UTF-8": b'{"model": "\xff"}',
    "two objects": chat() + chat(),
    "comment": b'{/* */"model": "m"}',
    "depth 1025": b'{"a":' + b"[" * 1025 + b"]" * 1025 + b"}",
}


@pytest.mark.parametrize("what", NOT_JSON)
def test_b55_not_json(what: str) -> None:
    fault = fault_of(asked, NOT_JSON[what])
    assert fault.kind is Kind.INVALID
    assert len(fault.message) < 160
    assert fault.message.isprintable()


def test_b56_nesting() -> None:
    deep = b'{"model":"m","messages":[{"content":%b%b}]}'
    assert asked(deep % (b"[" * 1021, b"]" * 1021)).model == "m", "with the three around it: 1,024"
    assert fault_of(asked, deep % (b"[" * 1022, b"]" * 1022)).kind is Kind.INVALID
    begin = time.process_time()
    assert fault_of(asked, deep % (b"[" * 1_000_000, b"]" * 1_000_000)).kind is Kind.INVALID
    assert time.process_time() - begin < 0.5


def test_b57_the_last_of_two_models_counts() -> None:
    assert asked(b'{"model":"a","messages":[{}],"model":"b"}').model == "b"


def limits_of(low: int, high: int) -> list[tuple[Any, bool]]:
    inside = [None, low, low + 1, high - 1, high]
    outside = [low - 1, high + 1, 1.5, "2", True, [], {}, -(10**30), 10**30, 1e18]
    return [(value, True) for value in inside] + [(value, False) for value in outside]


COUNTS = [
    *(("n", *case) for case in limits_of(1, LIMITS.n)),
    *(("top_logprobs", *case) for case in limits_of(0, LIMITS.top_logprobs)),
    *(("max_tokens", *case) for case in limits_of(0, 2**31 - 1)),
    *(("max_completion_tokens", *case) for case in limits_of(0, 2**31 - 1)),
]


@pytest.mark.parametrize(("name", "value", "is_fine"), COUNTS)
def test_b58_b59_b64_counts(name: str, value: Any, is_fine: bool) -> None:
    body = chat(**{name: value})
    if is_fine:
        asked(body)
    else:
        fault = fault_of(asked, body)
        assert (fault.kind, fault.param) == (Kind.INVALID, name)


@pytest.mark.parametrize("target", [b"/v1/completions", b"/v1/responses"])
def test_the_other_routes_that_generate_are_checked_too(target: bytes) -> None:
    assert fault_of(asked, b'{"model":"m","n":0}', target).param == "n"
    assert fault_of(asked, b'{"model":"m","max_output_tokens":-1}', target).param == "max_output_tokens"
    assert asked(b'{"model":"m","max_output_tokens":9}', target).max_tokens == 9


@pytest.mark.parametrize("value", ["yes", 1, 0, "", [], 1.0])
def test_b60_stream(value: Any) -> None:
    assert fault_of(asked, chat(stream=value)).param == "stream"


@pytest.mark.parametrize(("value", "streams"), [(True, True), (False, False), (None, False)])
def test_stream(value: bool | None, streams: bool) -> None:
    assert asked(chat(stream=value)).stream is streams


@pytest.mark.parametrize("messages", [None, {}, [], "hi", 1])
def test_b61_messages(messages: Any) -> None:
    assert fault_of(asked, chat(messages=messages)).param == "messages"


def test_b61_messages_missing() -> None:
    assert fault_of(asked, b'{"model":"m"}').param == "messages"


@pytest.mark.parametrize("item", [None, "hi", [], 1])
def test_b61_a_message_that_is_no_object(item: Any) -> None:
    assert fault_of(asked, chat(messages=[{}, item])).param == "messages[1]"


LISTS = [("messages", LIMITS.messages, {}), ("stop", LIMITS.stop, "x"), ("tools", LIMITS.tools, {"type": "function"})]


@pytest.mark.parametrize(("name", "limit", "item"), LISTS)
@pytest.mark.parametrize("over", [-1, 0, 1])
def test_b61_b64_lists(name: str, limit: int, item: Any, over: int) -> None:
    body = chat(**{name: [item] * (limit + over)})
    if over <= 0:
        asked(body)
    else:
        assert fault_of(asked, body).param == name


def test_limits_can_be_raised() -> None:
    assert asked(chat(n=200), limits=ParameterLimits(n=200)).model == "m"


@pytest.mark.parametrize(
    "model", ["", None, 1, [], {}, True, "a\nb", "a\x00b", "\u202eabc", "a\u2028b", "m" * 1025, "m" * 10_000]
)
def test_b63_not_a_model(model: Any) -> None:
    fault = fault_of(asked, chat(model=model))
    assert (fault.kind, fault.param) == (Kind.INVALID, "model")
    assert fault.message.isprintable()
    assert "mmm" not in fault.message


@pytest.mark.parametrize("model", ["m", "../x", "org/name:tag@1", "modèl 漢字", "m" * 1024, "'; DROP TABLE", "{{x}}"])
def test_any_printable_name_is_a_model(model: str) -> None:
    assert asked(chat(model=model)).model == model


def test_b63_no_model() -> None:
    assert asked(b'{"messages":[{}]}').model is None


def test_a_field_of_a_route_that_does_not_generate_is_its_own_business() -> None:
    request = asked(b'{"model":"m","n":"many","max_tokens":"all","messages":7}', b"/v1/embeddings")
    assert (request.model, request.max_tokens) == ("m", None)


@pytest.mark.parametrize(
    "content_type",
    [b"application/json", b"Application/JSON; charset=utf-8", b"", b"application/vnd.api+json", b"text/json+json"],
)
def test_b53_json_types(content_type: bytes) -> None:
    assert asked(chat(), content_type=content_type).model == "m"


@pytest.mark.parametrize(
    "content_type",
    [b"text/plain", b"multipart/form-data; boundary=x", b"application/x-www-form-urlencoded", b"application/jsonx"],
)
def test_b53_other_types(content_type: bytes) -> None:
    assert fault_of(asked, chat(), content_type=content_type).kind is Kind.MEDIA_TYPE
    asked(chat(), b"/v1/files", content_type)


def test_an_empty_post_that_claims_to_be_json() -> None:
    """openai-python cancels a response that way."""
    assert asked(b"", b"/v1/responses/resp_1/cancel").model is None
    assert fault_of(asked, b"", b"/v1/responses").kind is Kind.INVALID


def test_a_get_has_no_body_to_understand() -> None:
    assert asked(b"", b"/v1/files", method=b"GET").model is None


def test_unknown_routes_say_their_model_too() -> None:
    assert asked(b'{"model":"m"}', b"/v1/classify").model == "m"


# --- forms

FORM = b'multipart/form-data; boundary="b0undary"'


def form(*parts: tuple[bytes, bytes], boundary: bytes = b"b0undary") -> bytes:
    lines = [b"--%b\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (boundary, *part) for part in parts]
    return b"".join(lines) + b"--%b--\r\n" % boundary


FILE = (b'name="file"; filename="a.wav"\r\nContent-Type: audio/wav', b"RIFF" + bytes(5000))
MODEL = (b'name="model"', b"whisper-1")


@pytest.mark.parametrize(
    "body",
    [
        form(MODEL, FILE),
        form(FILE, MODEL),
        form((b'name="language"', b"de"), FILE, (b"name=model", b"whisper-1")),
        b"preamble\r\n" + form(MODEL),
        form((b'name="prompt"', b'a name="model" of clarity'), MODEL),
        form((b'name="file"; filename="model"', b"x\r\nname=model"), MODEL),
        form((b'name="notes"; x-name="model"', b"no"), MODEL),
        form(
            (
                FILE[0],
                b'--b0undary\r\nContent-Disposition: form-data; name="model"\r\n\r\nnot-me'.replace(b"--b", b" --b"),
            ),
            MODEL,
        ),
        form((b'filename="model"; name="model"', b"not-me"), MODEL),
        form((b"name=\"model\"; filename*=UTF-8''x", b"not-me"), MODEL),
    ],
)
def test_the_model_field_of_a_form(body: bytes) -> None:
    assert asked(body, b"/v1/audio/transcriptions", FORM).model == "whisper-1"


@pytest.mark.parametrize(
    "content_type",
    [b"multipart/form-data; boundary=b0undary", b"multipart/form-data; Boundary=b0undary; charset=utf-8"],
)
def test_spellings_of_the_boundary(content_type: bytes) -> None:
    assert asked(form(MODEL), b"/v1/images/edits", content_type).model == "whisper-1"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (FORM, form(FILE)),
        (FORM, form((FILE[0], b'name="model"\r\n\r\nnot-me'))),
        (FORM, form((b'name="file"; filename="a"', b'\r\nContent-Disposition: form-data; name="model"\r\n\r\nnot-me'))),
        (FORM, b"--b0undary"),
        (FORM, b'--b0undary\r\nname="model"'),
        (FORM, b"junk"),
        (b"multipart/form-data", form(MODEL)),
        (b"multipart/form-data; boundary=", form(MODEL)),
        (b'multipart/form-data; boundary="', form(MODEL)),
        (b"application/octet-stream", form(MODEL)),
    ],
)
def test_a_form_that_names_no_model(content_type: bytes, body: bytes) -> None:
    assert asked(body, b"/v1/audio/transcriptions", content_type).model is None


@pytest.mark.parametrize("value", [b"", b"m" * 1025, b"m" * 5000, b"a\x00b"])
def test_a_form_with_a_model_that_is_none(value: bytes) -> None:
    body = form((b'name="model"', value))
    assert fault_of(asked, body, b"/v1/audio/transcriptions", FORM).param == "model"


# --- content codings

PLAIN = b'{"model":"m"}' * 1000


@pytest.mark.parametrize("coding", [b"gzip", b"x-gzip"])
@pytest.mark.parametrize("over", [-1, 0, 1])
def test_b49_gzip_up_to_the_limit(coding: bytes, over: int) -> None:
    packed = gzip.compress(PLAIN)
    if over <= 0:
        assert decode(packed, coding, len(PLAIN) - over) == PLAIN
    else:
        assert fault_of(decode, packed, coding, len(PLAIN) - 1).kind is Kind.BODY_TOO_LARGE


@pytest.mark.parametrize("coding", [b"", b"identity"])
def test_no_coding(coding: bytes) -> None:
    assert decode(PLAIN, coding, 1) is PLAIN


def test_b49_gzip_larger_than_one_step() -> None:
    large = bytes(range(256)) * (3 << 12)
    assert decode(gzip.compress(large, 1), b"gzip", 32 << 20) == large
    assert decode(gzip.compress(large, 0), b"gzip", 32 << 20) == large


def test_b50_a_bomb_ends_at_the_limit() -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(300)) + packer.flush()
    assert len(bomb) < 1 << 20
    begin = time.process_time()
    assert fault_of(decode, bomb, b"gzip", 8 << 20).kind is Kind.BODY_TOO_LARGE
    assert time.process_time() - begin < 1, "unpacks no more than the limit and a step"


BROKEN = {
    "not gzip": PLAIN,
    "cut": gzip.compress(PLAIN)[:-1],
    "cut in the head": gzip.compress(PLAIN)[:5],
    "wrong checksum": gzip.compress(PLAIN)[:-8] + bytes(8),
    "bytes after the end": gzip.compress(PLAIN) + b"x",
    "two members": gzip.compress(PLAIN) * 2,
    "zlib": zlib.compress(PLAIN),
    "empty": b"",
}


@pytest.mark.parametrize("what", BROKEN)
def test_b51_broken_gzip(what: str) -> None:
    assert fault_of(decode, BROKEN[what], b"gzip", 1 << 20).kind is Kind.MALFORMED


@pytest.mark.parametrize("coding", [b"foo", b"gzip, gzip", b"deflate", b"br", b"zstd", b"gzip,"])
def test_b52_other_codings(coding: bytes) -> None:
    assert fault_of(decode, PLAIN, coding, 1 << 20).kind is Kind.CONTENT_CODING


@pytest.mark.parametrize(
    ("target", "body", "stream"),
    [
        (b"/api/chat", b"{}", True),
        (b"/api/generate", b'{"stream":null}', True),
        (b"/api/chat", b'{"stream":false}', False),
        (b"/api/embed", b"{}", False),
        (b"/completion", b"{}", False),
        (b"/completion", b'{"stream":true}', True),
        (b"/generate", b"{}", False),
        (b"/generate_stream", b"{}", True),
        (b"/v1/chat/completions", b'{"messages":[{}]}', False),
    ],
)
def test_who_streams_unless_told_otherwise(target: bytes, body: bytes, stream: bool) -> None:
    assert asked(body, target).stream is stream


@pytest.mark.parametrize(
    ("target", "body", "limit"),
    [
        (b"/api/chat", b'{"options":{"num_predict":7},"max_tokens":9}', 7),
        (b"/api/generate", b'{"options":{"num_predict":-1}}', None),
        (b"/completion", b'{"n_predict":5}', 5),
        (b"/infill", b'{"n_predict":-1}', None),
        (b"/generate", b'{"parameters":{"max_new_tokens":3}}', 3),
        (b"/generate_stream", b'{"parameters":[]}', None),
    ],
)
def test_the_limit_of_an_engines_own_api(target: bytes, body: bytes, limit: int | None) -> None:
    assert asked(body, target).max_tokens == limit


def test_models_of_engines_own_apis() -> None:
    assert asked(b'{"name":"old"}', b"/api/show").model == "old"
    assert asked(b'{"model":"new","name":"old"}', b"/api/show").model == "new"
    assert asked(b'{"name":"x"}', b"/completion").model is None
    assert asked(b"", b"/props?a=1&model=org%2Fm", method=b"GET").model == "org/m"
    assert asked(b"", b"/props", method=b"GET").model is None
    assert fault_of(asked, b'{"name":7}', b"/api/show").kind is Kind.INVALID
    assert fault_of(asked, b"", b"/props?model=%00", method=b"GET").kind is Kind.INVALID


def test_conversations_of_ollama_are_bounded_and_may_be_empty() -> None:
    assert asked(b'{"messages":[]}', b"/api/chat").endpoint is Endpoint.OLLAMA_CHAT
    for messages in (b'["x"]', b'"x"', b"[%b{}]" % (b"{}," * ParameterLimits().messages)):
        fault = fault_of(asked, b'{"messages":%b}' % messages, b"/api/chat")
        assert fault.kind is Kind.INVALID
