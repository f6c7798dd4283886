"""Fields of a body as the operator wants them: each change once, everything else byte for byte."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.parameters import ParameterSettings
from proxy.wire.parameters import Changed

BODY = b'{ "model": "m",\t"temperature":1, "top_p" : 0.5 ,"logit_bias":{"1":-100}, "note":"\\"temperature\\":2"}'

CASES = {
    "a value of the client's is replaced where it stands": (
        ParameterSettings(set={"temperature": 0.2}),
        BODY.replace(b'"temperature":1', b'"temperature":0.2'),
        ["set"],
    ),
    "what the client does not say is added behind": (
        ParameterSettings(set={"top_k": 20}),
        BODY[:-1] + b',"top_k":20}',
        ["set"],
    ),
    "a default fills in": (ParameterSettings(default={"top_k": 20}), BODY[:-1] + b',"top_k":20}', ["default"]),
    "a default gives way": (ParameterSettings(default={"top_p": 0.9}), BODY, []),
    "a field is taken out": (
        ParameterSettings(drop=("logit_bias",)),
        BODY.replace(b',"logit_bias":{"1":-100}', b""),
        ["drop"],
    ),
    "one that is not there is not": (ParameterSettings(drop=("seed",)), BODY, []),
    "what is set already is no change": (ParameterSettings(set={"top_p": 0.5}), BODY, []),
    "all at once": (
        ParameterSettings(set={"temperature": 0}, default={"seed": None}, drop=("top_p",)),
        b'{ "model": "m",\t"temperature":0 ,"logit_bias":{"1":-100}, "note":"\\"temperature\\":2","seed":null}',
        ["drop", "set", "default"],
    ),
}


@pytest.mark.parametrize(("settings", "body", "kinds"), CASES.values(), ids=CASES.keys())
def test_what_is_changed(settings: ParameterSettings, body: bytes, kinds: list[str]) -> None:
    changed = Changed(BODY)
    changed.apply(settings, generates=True)
    assert (changed.body, changed.kinds) == (body, kinds)


def test_where_nothing_is_generated_fields_are_only_taken_out() -> None:
    changed = Changed(b'{"input":"a","dimensions":3}')
    changed.apply(
        ParameterSettings(set={"temperature": 0}, default={"top_k": 1}, drop=("dimensions",)), generates=False
    )
    assert (changed.body, changed.kinds) == (b'{"input":"a"}', ["drop"])


def test_a_default_gives_way_to_null_which_is_said() -> None:
    changed = Changed(b'{"stop":null}')
    changed.apply(ParameterSettings(default={"stop": ["a"]}), generates=True)
    assert changed.body == b'{"stop":null}'


def test_the_later_entry_has_the_last_word() -> None:
    changed = Changed(b"{}")
    changed.apply(ParameterSettings(set={"a": 1}, default={"b": 1}), generates=True)
    changed.apply(ParameterSettings(set={"a": 2}, default={"b": 2}, drop=("c",)), generates=True)
    assert (changed.body, changed.kinds) == (b'{"a":2,"b":1}', ["set", "default"])


NAMES = st.sampled_from(["a", "b", "top_k", "stop"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda v: st.lists(v) | st.dictionaries(NAMES, v),
    max_leaves=6,
)


@given(st.dictionaries(NAMES, VALUES), st.dictionaries(NAMES, VALUES), st.dictionaries(NAMES, VALUES), st.lists(NAMES))
def test_it_means_the_same_as_on_parsed_fields(
    body: dict[str, object], put: dict[str, object], default: dict[str, object], drop: list[str]
) -> None:
    changed = Changed(orjson.dumps(body))
    changed.apply(ParameterSettings(set=put, default=default, drop=tuple(drop)), generates=True)
    kept = {name: value for name, value in body.items() if name not in drop}
    assert orjson.loads(changed.body) == {**default, **kept, **put}
