"""Edits of a body: what is meant is changed, everything else stays byte for byte."""

import orjson
import pytest

from proxy.wire import splice

REPLACED = {
    "the value alone": (b'{"model":"a","n":1}', b'{"model":"z","n":1}'),
    "spaces stay": (b' { "model" :  "a" , "n":1 } ', b' { "model" :  "z" , "n":1 } '),
    "the last key": (b'{"n":1,"model":null}', b'{"n":1,"model":"z"}'),
    "an object": (b'{"model":{"model":"a"},"n":1}', b'{"model":"z","n":1}'),
    "an array": (b'{"model":["a",{"b":[1]}]}', b'{"model":"z"}'),
    "a number": (b'{"model":-1.5e3 ,"n":1}', b'{"model":"z" ,"n":1}'),
    "each of several": (b'{"model":"a","model":"b"}', b'{"model":"z","model":"z"}'),
    "not a nested one": (b'{"a":{"model":"x"},"model":"a"}', b'{"a":{"model":"x"},"model":"z"}'),
    "not one in an array": (b'{"a":[{"model":"x"}],"model":"a"}', b'{"a":[{"model":"x"}],"model":"z"}'),
    "not a text that looks like one": (
        b'{"a":"\\"model\\":\\"x\\"","model":"a"}',
        b'{"a":"\\"model\\":\\"x\\"","model":"z"}',
    ),
    "not a value of that name": (b'{"a":"model","model":"a"}', b'{"a":"model","model":"z"}'),
    "spelt with escapes": (b'{"\\u006dodel":"a"}', b'{"\\u006dodel":"z"}'),
    "a value that ends in a backslash": (b'{"model":"a\\\\","n":"}"}', b'{"model":"z","n":"}"}'),
    "brackets inside text": (b'{"a":"}{][","model":"a"}', b'{"a":"}{][","model":"z"}'),
    "it is not there": (b'{"n":1}', b'{"n":1}'),
    "no object": (b'["model","a"]', b'["model","a"]'),
}


@pytest.mark.parametrize(("body", "out"), REPLACED.values(), ids=REPLACED.keys())
def test_a_value_is_replaced(body: bytes, out: bytes) -> None:
    assert splice.replace_value(body, "model", "z") == out


def test_what_is_put_in_is_json() -> None:
    body = splice.replace_value(b'{"model":"a"}', "model", {"name": 'a"b', "n": None})
    assert orjson.loads(body) == {"model": {"name": 'a"b', "n": None}}


@pytest.mark.parametrize(
    ("body", "out"),
    [
        (b'{"stop":["a"]}', b'{"stop":["a",9]}'),
        (b'{"stop":[]}', b'{"stop":[9]}'),
        (b'{"stop":[ ]}', b'{"stop":[ 9]}'),
        (b'{"stop":[["]"]],"n":1}', b'{"stop":[["]"],9],"n":1}'),
        (b'{"stop":[1],"stop":[]}', b'{"stop":[1,9],"stop":[9]}'),
    ],
)
def test_an_item_goes_behind_the_others(body: bytes, out: bytes) -> None:
    assert splice.with_item(body, "stop", 9) == out


@pytest.mark.parametrize(
    ("body", "first", "last"),
    [
        (b"{}", b'{"k":1}', b'{"k":1}'),
        (b" { } ", b' {"k":1 } ', b' {"k":1} '),
        (b'{"a":"{}"}', b'{"k":1,"a":"{}"}', b'{"a":"{}","k":1}'),
        (b'{"a":{} }\n', b'{"k":1,"a":{} }\n', b'{"a":{},"k":1}\n'),
    ],
)
def test_a_new_key_goes_in_front_or_behind(body: bytes, first: bytes, last: bytes) -> None:
    assert splice.with_first(body, "k", 1) == first
    assert splice.with_last(body, "k", 1) == last


@pytest.mark.parametrize(
    ("body", "out"),
    [
        (b'{"k":1}', b"{}"),
        (b'{"k":1,"a":2}', b'{"a":2}'),
        (b'{"a":2,"k":{"k":1}}', b'{"a":2}'),
        (b'{"a":2,"k":[1], "b":3}', b'{"a":2, "b":3}'),
        (b'{"k":1,"a":{"k":2},"k":3}', b'{"a":{"k":2}}'),
        (b'{"a":"k"}', b'{"a":"k"}'),
    ],
)
def test_a_key_is_taken_out(body: bytes, out: bytes) -> None:
    assert splice.without_key(body, "k") == out
