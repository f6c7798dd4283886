"""Reports of stages, however they are written, and the header in which ours are told."""

import random
import time
from typing import Any

import pytest

from proxy.model.timeline import Timeline
from proxy.model.timings import MOST_STAGES, OURS, Stage
from proxy.wire.event import Event
from proxy.wire.meter import Meter
from proxy.wire.server_timing import of_beginning, of_fields, of_whole, own_stages, parse


def test_the_documented_form() -> None:
    found = parse(b"retrieval;dur=42;hit=1, rerank;dur=18, prompt_assembly;dur=7.5")
    assert dict(found.stages) == {
        "retrieval": Stage(42.0, 1, 1),
        "rerank": Stage(18.0),
        "prompt_assembly": Stage(7.5),
    }
    assert not found.ignored


@pytest.mark.parametrize(
    ("value", "stages"),
    [
        (b'Retrieval ; DUR = "3" ; desc="a, b; c=\\"d\\""', {"retrieval": Stage(3.0)}),
        (b"a;dur=1,,a;dur=2;hit=0 ,\tb;dur=0", {"a": Stage(3.0, 0, 1), "b": Stage(0.0)}),
        (b"a;dur=1;hit=1,a;dur=1;hit=0", {"a": Stage(2.0, 1, 2)}),
        (b'a;desc="never closed, b;dur=1', {}),
        (b"", {}),
        (b" , ,", {}),
    ],
)
def test_the_syntax_of_server_timing(value: bytes, stages: dict[str, Stage]) -> None:
    assert dict(parse(value).stages) == stages


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        *((b"a;dur=" + value, "duration") for value in (b"-1", b"nan", b"NaN", b"inf", b"1e5", b"", b"0x1", b"1_0")),
        *((b"a;dur=" + value, "duration") for value in (b"9" * 400, b"86400001", b"1.2.3", b"\xb2", b"1;dur=-1")),
        (b"a", "duration"),
        (b"a;hit=1", "duration"),
        (b"a;dur=1;hit=2", "malformed"),
        (b"a;dur=1;hit", "malformed"),
        *((name + b";dur=1", "name") for name in (b"", b"9a", b"a b", b"a\xff", b"x" * 33, b"-", b'"a"', b"total")),
        *((name.encode() + b";dur=1", "name") for name in OURS),
    ],
)
def test_an_entry_that_says_nothing_sensible_is_counted_and_the_others_stand(entry: bytes, why: str) -> None:
    found = parse(b"first;dur=1, " + entry + b", last;dur=2")
    assert dict(found.stages) == {"first": Stage(1.0), "last": Stage(2.0)}
    assert found.ignored == {why: 1}


def test_ten_thousand_stages() -> None:
    named = b",".join(b"s%d;dur=1" % number for number in range(10_000))
    found = parse(named)
    assert (len(found.stages), set(found.ignored)) == (MOST_STAGES, {"too_many"})
    alike = parse(b",".join([b"a;dur=1"] * 200))
    assert dict(alike.stages) == {"a": Stage(200.0)}


def test_any_bytes_are_read_in_no_time() -> None:
    dice = random.Random(15)
    alphabet = b'ab;,="\\ \t.-019dur=hit\xff\x00'
    before = time.process_time()
    for _ in range(3000):
        parse(bytes(dice.choice(alphabet) for _ in range(dice.randrange(120))))
    for hard in (b'"' * 8000, b'"\\' * 4000, b";" * 8000, b"," * 8000, b'a;dur="' * 1100, b"=" * 8000):
        for found in (parse(hard), parse(hard * 100)):
            assert not found.stages
    assert time.process_time() - before < 5


@pytest.mark.parametrize(
    ("value", "stage", "why"),
    [
        (12.5, Stage(12.5), ""),
        ({"dur": 3, "hit": 1}, Stage(3.0, 1, 1), ""),
        ({"dur": 3, "hit": False}, Stage(3.0, 0, 1), ""),
        ({"dur": 3, "hit": None, "more": "x"}, Stage(3.0), ""),
        *((value, None, "duration") for value in (-1, -0.1, True, None, "7", [], 10**400, -(10**400), 1e300)),
        *((value, None, "duration") for value in ({}, {"hit": 1}, {"dur": "3"}, float("nan"), float("inf"))),
        *(({"dur": 1, "hit": hit}, None, "malformed") for hit in ("1", 2, 1.0, -1, [], {}, [1])),
    ],
)
def test_a_report_as_an_object(value: Any, stage: Stage | None, why: str) -> None:
    found = of_fields({"post_process": value, "other": 1}, {})
    assert found.stages.get("post_process") == stage
    assert found.stages["other"] == Stage(1.0)
    assert dict(found.ignored) == ({why: 1} if why else {})


def test_what_was_reported_stands() -> None:
    known = {f"s{number}": Stage(1.0) for number in range(MOST_STAGES - 1)}
    found = of_fields({"s0": 5, "new": 1, "newer": 1, "queue": 1}, known)
    assert dict(found.stages) == {"new": Stage(1.0)}
    assert found.ignored == {"duplicate": 1, "too_many": 1, "name": 1}
    assert dict(of_fields({"total": 900.0}, {}).stages) == {"total": Stage(900.0)}
    many = of_fields({f"s{number}": 1 for number in range(10_000)}, {})
    assert (len(many.stages), many.ignored) == (MOST_STAGES, {"too_many": 10_000 - MOST_STAGES})


# --- what is written


def line(**at: float) -> Timeline:
    made = Timeline(100.0)
    for name, value in at.items():
        setattr(made, name, value)
    return made


def tokens(first: float, last: float) -> Meter:
    seen = Meter()
    seen.saw(Event(b'data: {"choices":[{"text":"a"}]}\n\n'), first)
    seen.saw(Event(b'data: {"choices":[{"text":"b"}]}\n\n'), last)
    return seen


def test_a_whole_answer_is_told_to_the_last_millisecond() -> None:
    told = line(understood=100.001, released=100.0035)
    assert of_whole(told, 100.5) == b"queue;dur=2.5, engine;dur=496.5, unattributed;dur=1, total;dur=500"
    told.reported = parse(b"retrieval;dur=42.5")
    told.gathered = 100.002
    assert of_whole(told, 100.5) == (
        b"retrieval;dur=42.5, queue;dur=1, window;dur=1.5, engine;dur=496.5, unattributed;dur=1, total;dur=542.5"
    )


def test_what_was_checked_and_repaired() -> None:
    told = line(understood=100.0, released=100.0, answered=101.0, repaired_s=0.5, checked=101.6)
    assert own_stages(told, Meter(), 101.7) == pytest.approx(
        {"queue": 0.0, "engine": 1.0, "repair": 0.5, "post_process": 0.1}
    )


def test_what_never_reached_an_engine() -> None:
    assert of_whole(line(), 100.25) == b"unattributed;dur=250, total;dur=250"
    assert of_whole(line(understood=100.0), 102.0) == b"queue;dur=2000, unattributed;dur=0, total;dur=2000"
    memory = line(understood=100.0)
    memory.is_from_memory = True
    assert of_whole(memory, 100.001) == b"unattributed;dur=1, total;dur=1"


def test_a_stream_tells_what_is_known_when_it_begins() -> None:
    told = line(understood=100.0, released=100.5)
    assert of_beginning(told, Meter(), 101.0) == b"queue;dur=500"
    assert of_beginning(told, tokens(100.75, 100.75), 101.0) == b"queue;dur=500, prefill;dur=250"
    assert of_beginning(line(), Meter(), 101.0) == b""


def test_the_stages_of_a_stream_add_up() -> None:
    told = line(understood=100.0, gathered=100.1, released=100.3)
    spent = own_stages(told, tokens(100.7, 101.5), 101.6)
    assert spent == pytest.approx({"queue": 0.1, "window": 0.2, "prefill": 0.4, "decode": 0.8})
    joined_late = own_stages(line(understood=100.0, released=101.0), tokens(100.7, 101.5), 101.6)
    assert joined_late == pytest.approx({"queue": 1.0, "prefill": 0.0, "decode": 0.5})


def test_the_usual_answer_is_told_as_any_other() -> None:
    dice = random.Random(38)
    for _ in range(500):
        understood = 100.001 + dice.expovariate(1000)
        released = understood + dice.choice((0.0, dice.expovariate(10), -0.0005))
        now = released + dice.expovariate(0.5)
        usual, other = line(understood=understood, released=released), line(understood=understood, released=released)
        other.reported = parse(b"")
        told = dict(part.split(";dur=") for part in of_whole(usual, now).decode().split(", "))
        assert told.keys() == {"queue", "engine", "unattributed", "total"}
        as_any = dict(part.split(";dur=") for part in of_whole(other, now).decode().split(", "))
        assert {name: float(ms) for name, ms in told.items()} == pytest.approx(
            {name: float(ms) for name, ms in as_any.items()}, abs=0.6 if released < understood else 0.1001
        )
        assert float(told["total"]) == pytest.approx((now - 100) * 1e3, abs=0.0501)
