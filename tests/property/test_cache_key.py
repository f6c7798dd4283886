"""Any parameter that changes an answer changes its key; how it was written does not."""

import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.model.endpoint import Endpoint
from proxy.model.limits import ParameterLimits
from proxy.wire import body as bodies
from proxy.wire.cache_key import digest
from proxy.wire.routes import route
from tests.unit.wire.asking import head_of

_NAMES = (
    *("messages", "prompt", "input", "temperature", "top_p", "top_k", "min_p", "n", "max_tokens", "stop", "seed"),
    *("max_completion_tokens", "presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias", "tools"),
    *("tool_choice", "parallel_tool_calls", "response_format", "logprobs", "top_logprobs", "user", "metadata"),
    *("reasoning_effort", "chat_template_kwargs", "guided_json", "structured_outputs", "lora", "service_tier"),
    *("cache_salt", "prompt_cache_key", "modalities", "audio", "store", "verbosity", "echo", "suffix", "unheard_of"),
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
_FIELDS = st.dictionaries(st.sampled_from(_NAMES) | st.text(min_size=1, max_size=6), _VALUES, max_size=6)
_TARGET = b"/v1/rerank"  # no parameter is refused there


def _of(body: bytes, model: str = "m", headers: Any = ()) -> bytes | None:
    head = head_of((b"Content-Type", b"application/json"), target=_TARGET)
    request, fields = bodies.read(head, route(_TARGET), body, ParameterLimits())
    assert request.endpoint is Endpoint.RERANK
    return digest(request, model, fields, body, headers)


def _written(fields: Any, rng: random.Random) -> bytes:
    """The same JSON: keys in another order, other white space, other escapes."""
    return json.dumps(_shuffled(fields, rng), ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, 1))).encode()


def _shuffled(value: Any, rng: random.Random) -> Any:
    if isinstance(value, list):
        return [_shuffled(item, rng) for item in value]
    if isinstance(value, dict):
        items = [(name, _shuffled(item, rng)) for name, item in value.items()]
        rng.shuffle(items)
        return dict(items)
    return value


def _is_one(left: Any, right: Any) -> bool:
    """The same JSON: true is not 1, and 1.0 is not 1."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


@settings(max_examples=300, deadline=None)
@given(_FIELDS, st.integers())
def test_how_it_is_written_does_not_matter(fields: dict[str, Any], seed: int) -> None:
    fields = {**fields, "x": 1}
    fields.pop("stream", None)
    fields.pop("model", None)
    rng = random.Random(seed)
    found = _of(json.dumps(fields).encode())
    assert found is not None
    assert _of(_written(fields, rng)) == found


@settings(max_examples=300, deadline=None)
@given(_FIELDS, st.sampled_from(_NAMES) | st.text(min_size=1, max_size=6), _VALUES)
def test_every_parameter_matters(fields: dict[str, Any], name: str, value: Any) -> None:
    for left_out in ("stream", "stream_options", "model"):
        fields.pop(left_out, None)
    if name in ("stream", "stream_options", "model"):
        return
    before = {**fields, "x": 1}
    after = {**before, name: value}
    assert (_of(json.dumps(before).encode()) == _of(json.dumps(after).encode())) == _is_one(before, after)


@settings(max_examples=200, deadline=None)
@given(_FIELDS, st.data())
def test_what_is_said_twice_has_no_key(fields: dict[str, Any], data: st.DataObject) -> None:
    """An engine may take the one or the other: it could be made to fill the entry of another request."""
    for left_out in ("stream", "model"):
        fields.pop(left_out, None)
    fields = {**fields, "x": 1}
    name = data.draw(st.sampled_from(sorted(fields)))
    again = json.dumps({name: data.draw(_VALUES)})[1:-1]
    whole = json.dumps(fields)
    assert _of(whole.encode()) is not None
    assert _of(f"{{{again},{whole[1:]}".encode()) is None
    assert _of(f'{{"inner":{{{again},{whole[1:]}}}'.encode()) is None
