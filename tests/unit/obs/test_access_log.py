"""Access log lines: one line each whatever is in them, nothing lost in silence, never a prompt."""

import json
import re
from dataclasses import fields

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.model.faults import Kind, downstream, upstream
from proxy.model.outcome import Phase, failed_with
from proxy.model.request import Job
from proxy.obs import access_log
from proxy.obs.access_log import AccessLog, line_of, lost_line
from proxy.obs.prefix_digests import KEY_B, PrefixDigests
from proxy.obs.record import Record
from proxy.wire.meter import Meter
from proxy.wire.usage import NO_USAGE
from tests.unit.obs.records import record, timeline

WALL = 1_700_000_000.25
STAMP = "2023-11-14T22:13:20.250Z"


class Written:
    """A log of its own and what came out of it."""

    def __init__(self, form: str) -> None:
        self.writes: list[bytes] = []
        self.scheduled = 0
        self.log = AccessLog(line_of(form), self.writes.append, lambda: WALL, self._schedule)

    def _schedule(self) -> None:
        self.scheduled += 1

    def line_of(self, told: Record) -> bytes:
        self.log.add(told)
        self.log.flush()
        return self.writes.pop()


def test_json_tells_how_a_prompt_begins_where_that_is_wanted() -> None:
    digests = PrefixDigests(b"k" * KEY_B)
    job = Job(1, "m", prefix=(7, 8, 9))
    lines = [line_of("json", digests)(record(job=one), WALL) for one in (job, Job(1, "m"), None)]
    told = [json.loads(line) for line in lines]
    assert [one.pop("prefix", None) for one in told] == [digests.of((7, 8, 9)), None, None]
    assert told[0] == json.loads(line_of("json")(record(), WALL))
    assert line_of("text", digests)(record(job=job), WALL) == line_of("text")(record(job=job), WALL)


def test_json() -> None:
    line = Written("json").line_of(record())
    assert line.endswith(b"}\n")
    assert json.loads(line) == {
        "time": STAMP,
        "end": "--",
        "outcome": "served",
        "status": 200,
        "method": "POST",
        "path": "/v1/chat/completions",
        "class": "interactive",
        "model_asked": "alias",
        "model_served": "model",
        "backend": "alpha",
        "attempts": 1,
        "hedge": None,
        "cache": None,
        "stream": True,
        "resumed": None,
        "fallback": None,
        "batch": None,
        "queue_ms": 2.0,
        "window_ms": None,
        "ttft_ms": 250.0,
        "tpot_ms": 235.71,
        "e2e_ms": 2000.0,
        "prompt_tokens": 25,
        "completion_tokens": 8,
        "cached_tokens": 16,
        "token_source": "engine_usage",
        "request_bytes": 321,
        "fault": None,
        "tenant": "4ce9a0d1",
        "client": "192.0.2.7",
        "id": "req-1",
    }


def test_text() -> None:
    assert Written("text").line_of(record()).decode() == (
        f"{STAMP} -- 200 POST /v1/chat/completions outcome=served class=interactive model_asked=alias"
        " model_served=model backend=alpha attempts=1 stream=true token_source=engine_usage queue_ms=2.00"
        " ttft_ms=250.00 tpot_ms=235.71 e2e_ms=2000.00 prompt_tokens=25 completion_tokens=8 cached_tokens=16"
        " request_bytes=321 tenant=4ce9a0d1 client=192.0.2.7 id=req-1\n"
    )


def test_what_an_engine_left_out_is_told_where_there_is_something() -> None:
    told = record(truncated="prompt")
    assert json.loads(Written("json").line_of(told))["truncated"] == "prompt"
    assert b" request_bytes=321 truncated=prompt tenant=" in Written("text").line_of(told)


def test_a_request_that_could_not_be_read_keeps_the_columns() -> None:
    outcome = failed_with(downstream(Kind.MALFORMED, "x"), Phase.READ)
    bare = timeline(understood=None, released=None)
    told = record(
        id="", method="", path="", model_asked="", model_served="", backend="", attempts=0, status=400, stream=False
    )
    told = Record(
        **{field.name: getattr(told, field.name) for field in fields(told)}
        | {
            "outcome": outcome,
            "timeline": bare,
            "usage": NO_USAGE,
            "meter": Meter(),
            "traffic_class": "",
            "token_source": "",
            "tenant": "",
            "client": "",
        }
    )
    line = Written("text").line_of(told).decode()
    assert line == (
        f"{STAMP} CR 400 - - outcome=failed fault=malformed attempts=0 stream=false e2e_ms=2000.00 request_bytes=321\n"
    )


ODD = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            'a"b',
            "a\nb",
            "a b",
            "a\tb",
            "\u202eabc",
            "a\u2028b",
            "a\x1b[31m",
            "naïve",
            "漢字",
            "",
            "a=b",
            "\\",
            '"',
            "x\x7f",
            "\x00",
        ]
    ),
)


def words_of(line: str) -> list[str]:
    return re.findall(r'(?:[^ "]|"(?:[^"\\]|\\.)*")+', line)


@given(ODD, ODD, ODD)
@example("evil\n2023-11-14T22:13:20.250Z -- 200 GET /", 'a" fault="x', "/v1/\x85x y")
def test_one_line_of_printable_ascii_whatever_the_names(asked: str, served: str, path: str) -> None:
    line = Written("text").line_of(record(model_asked=asked, model_served=served, path=path)).decode("ascii")
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    words = words_of(line[:-1])
    assert words[:4] == [STAMP, "--", "200", "POST"]
    fields = dict(word.partition("=")[::2] for word in words[5:])
    for name, value in (("model_asked", asked), ("model_served", served)):
        shown = fields.get(name, "")
        assert (json.loads(shown) if shown.startswith('"') else shown) == value
    assert (json.loads(words[4]) if words[4].startswith('"') else words[4]) == (path or "-")


@given(ODD, ODD)
def test_json_keeps_odd_names(asked: str, path: str) -> None:
    line = Written("json").line_of(record(model_asked=asked, path=path))
    assert line.count(b"\n") == 1
    fields = json.loads(line)
    assert (fields["model_asked"], fields["path"]) == (asked, path)


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_a_fault_says_is_not_logged(form: str) -> None:
    fault = upstream(Kind.CUT, "s3cret words of an engine")
    line = Written(form).line_of(record(outcome=failed_with(fault, Phase.STREAM)))
    assert b"s3cret" not in line
    assert b"cut" in line
    assert b"US" in line


def test_lines_are_gathered_into_one_write() -> None:
    written = Written("text")
    for _ in range(3):
        written.log.add(record())
    assert (written.scheduled, written.writes) == (1, [])
    written.log.flush()
    assert len(written.writes) == 1
    assert written.writes[0].count(b"\n") == 3
    written.log.add(record())
    assert written.scheduled == 2


def test_nothing_to_say() -> None:
    written = Written("json")
    written.log.flush()
    assert written.writes == []


def test_a_turn_with_many_lines_hands_them_on_before_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "_MAX_LINES", 10)
    written = Written("text")
    for _ in range(25):
        written.log.add(record())
    assert [lines.count(b"\n") for lines in written.writes] == [10, 10]
    written.log.flush()
    assert [lines.count(b"\n") for lines in written.writes] == [10, 10, 5]


def test_how_many_were_lost_is_a_line_of_the_same_form() -> None:
    assert re.fullmatch(rb"\S+Z dropped_log_lines=5\n", lost_line("text")(5))
    told = json.loads(lost_line("json")(5))
    assert set(told) == {"time", "dropped_log_lines"}
    assert told["dropped_log_lines"] == 5


@given(ODD, ODD)
def test_who_asked_cannot_pretend_to_be_another_field(tenant: str, client: str) -> None:
    line = Written("text").line_of(record(tenant=tenant, client=client)).decode("ascii")
    names = [word.partition("=")[0] for word in words_of(line[:-1])[5:]]
    assert names.count("tenant") <= 1
    assert names.count("client") <= 1
    assert names[-1] == "id"
