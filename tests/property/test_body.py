"""Whatever a client sends as a body is understood or refused with a fault that is safe to show; never an exception."""

import gzip
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.model.faults import FaultError, Kind, Source
from proxy.model.request import Request
from proxy.wire.body import decode
from proxy.wire.errors import answer
from tests.unit.wire.asking import asked, fault_of

TARGETS = st.sampled_from(
    [
        b"/v1/chat/completions",
        b"/v1/completions",
        b"/v1/embeddings",
        b"/v1/responses",
        b"/v1/audio/speech",
        b"/v1/files",
    ]
)
TYPES = st.sampled_from([b"", b"application/json", b"multipart/form-data; boundary=x", b"text/plain"])
ANYTHING = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=9)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)
FIELDS = st.dictionaries(
    st.sampled_from(
        [
            "model",
            "messages",
            "n",
            "stream",
            "stop",
            "tools",
            "max_tokens",
            "max_completion_tokens",
            "top_logprobs",
            "x",
        ]
    ),
    ANYTHING,
)
SECRET = "s3cret-prompt"
BYTES = st.binary(max_size=300)


def understood(body: bytes, target: bytes, content_type: bytes) -> Request | None:
    """The Request, or None after having checked that the refusal can be shown."""
    try:
        return asked(body, target, content_type)
    except FaultError as error:
        fault = error.fault
        assert fault.source is Source.DOWNSTREAM
        assert fault.message.isprintable()
        shown = answer(fault)
        assert 400 <= shown.status < 500
        assert json.loads(shown.body)["error"]["message"] == fault.message
        return None


@settings(max_examples=300)
@given(st.binary(max_size=200), TARGETS, TYPES)
def test_random_bytes(body: bytes, target: bytes, content_type: bytes) -> None:
    understood(body, target, content_type)


@settings(max_examples=300)
@given(FIELDS, TARGETS)
def test_random_fields(fields: dict[str, object], target: bytes) -> None:
    request = understood(json.dumps(fields).encode(), target, b"application/json")
    if request is not None:
        assert request.model == fields.get("model")
        assert request.stream is bool(fields.get("stream"))
        assert request.max_tokens is None or 0 <= request.max_tokens < 2**31


@given(st.text(max_size=200), st.sampled_from(["model", "messages", "n", "stream", "stop", "tools", "max_tokens"]))
def test_no_refusal_tells_what_was_in_the_body(text: str, name: str) -> None:
    body = json.dumps({"messages": SECRET + text, name: [SECRET + text]}).encode()
    for cut in (body, body[:-1], body.replace(b'"', b"'", 1)):
        assert SECRET not in fault_of(asked, cut).message


PACKED = st.builds(lambda data, cut, tail: gzip.compress(data)[: -cut or None] + tail, BYTES, st.integers(0, 9), BYTES)


@given(st.one_of(BYTES, PACKED), st.integers(0, 500))
def test_random_gzip(body: bytes, limit_b: int) -> None:
    try:
        unpacked = decode(body, b"gzip", limit_b)
    except FaultError as error:
        kind = error.fault.kind
    else:
        kind = None
        assert unpacked == gzip.decompress(body)
        assert len(unpacked) <= limit_b
    assert kind in (None, Kind.MALFORMED, Kind.BODY_TOO_LARGE)


PART_TEXT = st.binary(max_size=60).filter(lambda value: b"\r\n--x" not in value)


@given(st.lists(st.tuples(st.booleans(), PART_TEXT), max_size=4), st.text("abc/-.", min_size=1, max_size=8))
def test_a_model_is_found_behind_any_parts(others: list[tuple[bool, bytes]], model: str) -> None:
    parts = [
        b'--x\r\nContent-Disposition: form-data; name="a"%b\r\n\r\n%b\r\n' % (b'; filename="model"' * is_file, text)
        for is_file, text in others
    ]
    body = b"".join(parts) + b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\n%b\r\n--x--' % model.encode()
    assert asked(body, b"/v1/audio/speech", b"multipart/form-data; boundary=x").model == model
