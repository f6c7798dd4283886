"""What a JSON text counts before it is parsed, what of it is left out, and that neither changes what is read."""

import json
import random
import subprocess
import sys
import time
from bisect import bisect_left

import orjson
import pytest

from proxy.model.limits import ParameterLimits
from proxy.wire import weight
from proxy.wire.weight import abridged, is_light

MOST = ParameterLimits().values
MIB = 1 << 20

BOMBS = {
    "arrays": b"[],",
    "objects": b"{},",
    "members": b'{"a":0},',
    "nested": b"[[[]]],",
    "short strings": b'"ab",',
    "escaped strings": b'"\\"\\\\",',
    "objects in arrays": b'[{"":{}}],',
}


def repeated(item: bytes, size: int) -> bytes:
    return b'{"a":[' + item * (size // len(item)) + b"0]}"


@pytest.mark.parametrize("what", BOMBS)
def test_what_is_too_heavy(what: str) -> None:
    begin = time.process_time()
    assert not is_light(repeated(BOMBS[what], 31 * MIB), MOST)
    assert time.process_time() - begin < 2.0


HONEST = {
    "a picture": b'{"url":"data:' + b"QUJD" * (2 * MIB) + b'"}',
    "commas in a text": b'{"a":"' + b",:[{" * (7 * MIB) + b'"}',
    "10,000 messages": repeated(b'{"role":"user","content":"What is this, and why?"},', 51 * 10_000),
    "2 million token ids in one list": repeated(b"12345,", 12_000_000),
    "2 million token ids in lists": repeated(b"[" + b"12345," * 1000 + b"1],", 12_000_000),
    "2 million token ids in short lists": repeated(b"[" + b"12345, " * 64 + b"1], ", 14_000_000),
    "a million small numbers": repeated(b"1,", 2 * MIB),
    "a book with escapes": b'{"a":"' + b'She said: \\"No,\\" and left.\\n' * 200_000 + b'"}',
}


@pytest.mark.parametrize("what", HONEST)
def test_what_is_light_enough(what: str) -> None:
    text = HONEST[what]
    assert is_light(abridged(text), MOST)


ROW = b"[" + b"1000," * 20 + b"1],"
"""Too short to be left out."""
HEAVIEST = [b"[],", b"{},", b'{"a":1},', b'"ab",', b"[0.53,1],", b'{"k":{}},', b"257,", b"0.5,", b"1,", ROW]
PARSED = """
import sys, orjson
text = sys.stdin.buffer.read()
with open("/proc/self/clear_refs", "w") as marks:
    marks.write("5")
status = lambda name: int(open("/proc/self/status").read().split(name + ":")[1].split()[0]) * 1024
before = status("VmRSS")
fields = orjson.loads(text)
print(status("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own mark of a process's memory")
@pytest.mark.parametrize("item", HEAVIEST)
def test_parsing_what_is_just_light_enough_takes_little_memory(item: bytes) -> None:
    """The parser's own tables included, in a process of its own. The text itself is there once, as it came."""
    size = bisect_left(range(31), True, key=lambda size: not is_light(repeated(item, size * MIB // 2), MOST)) - 1
    text = repeated(item, size * MIB // 2)
    parsed = subprocess.run([sys.executable, "-c", PARSED], input=text, stdout=subprocess.PIPE, check=True)
    assert int(parsed.stdout) < 32 * MIB + len(text)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_the_limit(over: int) -> None:
    text = b"[" + b"1," * (998 + over) + b"1]"
    exact = 2 * (999 + over) + 16 + len(text) * 2 // 64
    assert is_light(text, exact)
    assert not is_light(text, exact - 1)


def test_a_text_that_is_in_the_way_of_counting() -> None:
    """Quotes and backslashes inside strings, at every offset to the borders of the pieces."""
    for shift in range(40):
        text = b'{"a":"' + b"x" * shift + b'\\\\\\",[' * 60_000 + b'"}'
        assert is_light(text, 30_000)
        assert orjson.loads(text)


MIDDLES = {
    "ASCII": b"abcdefg ",
    "umlauts": "öäü".encode(),
    "emoji": "a😀".encode(),
    "escapes": b'\\n\\"\\\\\\/',
    "escaped surrogates": b"x\\ud83d\\ude00",
    "escaped letters": b"\\u4e2d",
    "backslashes": b"\\\\",
}


@pytest.mark.parametrize("what", MIDDLES)
def test_long_strings_are_left_out_and_nothing_else(what: str) -> None:
    for shift in range(24):
        middle = b"x" * shift + MIDDLES[what] * (3 * MIB // len(MIDDLES[what]))
        text = b'{"model":"m","a":"' + middle + b'","b":[1,2,{"c":"d"}],"stream":true}'
        short = abridged(text)
        assert len(short) < 2 * MIB + 64 * 1024
        fields, whole = orjson.loads(short), orjson.loads(text)
        assert {**fields, "a": ""} == {**whole, "a": ""}


@pytest.mark.parametrize("broken", [b"\x01", b"\xff", b"\\x", b"\\ud83d", b"\\ude00", b"\xed\xa0\x80", b"\\u12", b"\n"])
def test_what_is_broken_in_a_long_string_stays_broken(broken: bytes) -> None:
    for shift in (0, 1, 2, 3, 5, 4090, 4093, 4095):
        text = b'{"a":"' + b"y" * (2 * MIB + 4096 + shift) + broken + b"y" * 20_000 + b'"}'
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(text)
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(abridged(text))


@pytest.mark.parametrize("numbers", [b"1,", b"-0.5e3, ", b"null,true,", b"1234567890,"])
def test_long_lists_are_left_out(numbers: bytes) -> None:
    text = b'{"a":[' + numbers * (4 * MIB // len(numbers)) + b'7],"b":1}'
    short = abridged(text)
    assert len(short) < 2 * MIB + 64 * 1024
    fields = orjson.loads(short)
    assert (fields["a"][-1], fields["b"]) == (7, 1)


@pytest.mark.parametrize("broken", [b",,", b"01,", b"1 2,", b"nul,", b"1.,", b"+1,", b".5,"])
@pytest.mark.parametrize("before", [b'{"a":[', b'{"a":'])
def test_what_is_broken_in_a_long_list_stays_broken(broken: bytes, before: bytes) -> None:
    for shift in range(6):
        text = before + b"11," * MIB + b" " * shift + broken + b"11," * 10_000 + b"1]}"
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(abridged(text))


@pytest.mark.parametrize("length", [50, 512, 1000])
def test_lists_in_lists_are_left_out(length: int) -> None:
    """As clients of embeddings send them: each list is one prompt."""
    row = [*range(1000, 1000 + length)]
    for text in (
        orjson.dumps({"a": [row] * (800_000 // length), "b": 1}),
        json.dumps({"a": [row] * 800, "b": 1}).encode(),
    ):
        fields, whole = orjson.loads(abridged(text)), orjson.loads(text)
        assert len(abridged(text)) < 2 * MIB + len(text) // 2
        assert (len(fields["a"]), fields["b"]) == (len(whole["a"]), 1)
        assert all(short[0] == 1000 and short[-1] == row[-1] for short in fields["a"])


def test_values_without_names_stay_without_names() -> None:
    text = b'{"a":1,' + b"11," * MIB + b'"b":1}'
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(abridged(text))


def test_random_documents_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """With tiny pieces and nothing kept, so that every border falls everywhere."""
    monkeypatch.setattr(weight, "_KEPT_B", 0)
    monkeypatch.setattr(weight, "_PIECE_B", 16)
    chance = random.Random(7)
    alphabet = ["a", "ö", "😀", '"', "\\", "\n", "/", "中", ",", "[", "{", ":", "1"]
    for _ in range(500):
        value = {
            "text": "".join(chance.choices(alphabet, k=chance.randrange(80))),
            "numbers": [chance.randrange(1000) for _ in range(chance.randrange(40))],
            "nested": [{"x": chance.random(), "y": None}] * chance.randrange(3),
            "last": "end",
        }

        for text in (orjson.dumps(value), json.dumps(value).encode()):
            fields = orjson.loads(abridged(text))
            assert list(fields) == list(value)
            assert (fields["nested"], fields["last"]) == (value["nested"], "end")
            broken = bytearray(text)
            broken[chance.randrange(len(broken))] = chance.randrange(256)
            assert valid(bytes(broken)) == valid(abridged(bytes(broken)))


def valid(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
