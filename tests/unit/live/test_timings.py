"""Where the time of finished requests went: for whom, how long, how many."""

from contextlib import suppress
from typing import Any

import orjson
import pytest

from proxy.live.timings import Timings
from proxy.model.faults import FaultError, Kind
from proxy.model.timings import TimingSettings
from proxy.obs.record import Record
from proxy.obs.stage_metrics import StageMetrics
from proxy.wire.headers import Head
from proxy.wire.server_timing import parse
from tests.unit.obs.records import record, timeline
from tests.unit.wire.asking import head_of


class Desk:
    """A map whose clock is advanced."""

    def __init__(self, keep: int = 3, max_age: float = 60.0) -> None:
        self.now = 100.0
        self.timings = Timings(TimingSettings(keep=keep, max_age=max_age), StageMetrics(), lambda: self.now)

    def tell(self, head: Head, name: str) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(self.timings.tell(head, name))
        return found

    def report(self, head: Head, name: str, body: bytes) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(self.timings.report(head, name, body))
        return found

    def is_unknown(self, head: Head, name: str) -> bool:
        with suppress(FaultError):
            self.tell(head, name)
            return False
        return True


ALICE = head_of((b"Authorization", b"Bearer alice"))
BOB = head_of((b"x-api-key", b"bob"))
NOBODY = head_of()


def reporting(name: str = "req-1") -> Record:
    made = record(id=name)
    made.timeline.reported = parse(b"retrieval;dur=42;hit=0, rerank;dur=18, bad;dur=x")
    return made


def test_the_stages_and_what_is_left_are_the_whole() -> None:
    desk = Desk()
    desk.timings.keep(ALICE, reporting())
    told = desk.tell(ALICE, "req-1")
    assert [(stage["name"], stage["ms"], stage["by"]) for stage in told["stages"]] == [
        ("retrieval", 42.0, "client"),
        ("rerank", 18.0, "client"),
        ("queue", 2.0, "proxy"),
        ("prefill", 247.0, "proxy"),
        ("decode", 1650.0, "proxy"),
    ]
    assert told["stages"][0]["lookups"] == 1
    assert told["stages"][0]["hits"] == 0
    assert sum(stage["ms"] for stage in told["stages"]) + told["unattributed_ms"] == pytest.approx(told["e2e_ms"])
    assert (told["e2e_ms"], told["proxy_ms"]) == (2060.0, 2000.0)
    assert (told["ttft_ms"], told["completion_tokens"]) == (250.0, 8)
    assert told["tpot_ms"] == pytest.approx(1650 / 7, abs=0.001)


def test_a_report_afterwards_is_part_of_it_once() -> None:
    desk = Desk()
    desk.timings.keep(ALICE, reporting())
    told = desk.report(ALICE, "req-1", b'{"post_process": 30, "retrieval": 1, "queue": 1, "x": -1}')
    assert told["ignored"] == {"duplicate": 1, "name": 1, "duration": 1}
    assert told["e2e_ms"] == 2090.0
    told = desk.report(ALICE, "req-1", b'{"post_process": 31, "total": 2200}')
    assert told["ignored"] == {"duplicate": 1}
    assert (told["e2e_ms"], told["unattributed_ms"]) == (2200.0, pytest.approx(2200 - 42 - 18 - 1899 - 30))
    assert [stage["ms"] for stage in told["stages"] if stage["name"] == "post_process"] == [30.0]
    assert "total" not in [stage["name"] for stage in told["stages"]]
    del told["ignored"]
    assert told == desk.tell(ALICE, "req-1")


def test_another_key_finds_what_nobody_would() -> None:
    desk = Desk()
    desk.timings.keep(ALICE, reporting())
    for head in (BOB, NOBODY):
        with pytest.raises(FaultError) as unknown:
            desk.tell(head, "req-1")
        assert (unknown.value.fault.kind, unknown.value.fault.code) == (Kind.UNKNOWN_ROUTE, "request_not_found")
        with pytest.raises(FaultError) as raised:
            desk.timings.report(head, "req-1", b'{"post_process": 1}')
        assert raised.value.fault.code == "request_not_found"
    desk.timings.keep(BOB, record(id="req-1", timeline=timeline(done=101.0)))
    assert desk.tell(BOB, "req-1")["e2e_ms"] == 1000.0
    assert desk.tell(ALICE, "req-1")["e2e_ms"] == 2060.0


def test_it_is_bounded_and_ages() -> None:
    desk = Desk(keep=4, max_age=60.0)
    for number in range(9):
        desk.timings.keep(NOBODY, record(id=f"r{number}"))
        known = [n for n in range(number + 1) if not desk.is_unknown(NOBODY, f"r{n}")]
        assert known == [*range(number + 1)][-len(known) :], "the last ones"
        assert min(2, number + 1) <= len(known) == len(desk.timings) <= 4
    desk.now = 162.0
    assert desk.is_unknown(NOBODY, "r8")
    for later in (1000.0, 2000.0):
        desk.timings.keep(NOBODY, record(id="late", timeline=timeline(later)))
    assert len(desk.timings) == 2, "one of each age"


def test_fewer_are_kept_when_fewer_are_to_be() -> None:
    desk = Desk(keep=100)
    for number in range(90):
        desk.timings.keep(NOBODY, record(id=f"r{number}"))
    desk.timings.configure(TimingSettings(keep=10))
    assert len(desk.timings) <= 10


def test_none_is_kept_where_none_is_to_be() -> None:
    desk = Desk(keep=0)
    assert desk.timings.keep(NOBODY, record()) is None
    assert desk.is_unknown(NOBODY, "req-1")
    young = Desk(max_age=0.0)
    young.timings.keep(NOBODY, record())
    young.now = 1000.0
    assert young.is_unknown(NOBODY, "req-1")


@pytest.mark.parametrize("body", [b"", b"[]", b"post_process;dur=1", b"{", b"[" * 5000, b"null", b'"x"'])
def test_what_is_no_report_is_a_400(body: bytes) -> None:
    desk = Desk()
    desk.timings.keep(NOBODY, record())
    with pytest.raises(FaultError) as raised:
        desk.timings.report(NOBODY, "req-1", body)
    assert raised.value.fault.kind is Kind.INVALID


def test_a_large_or_a_packed_report_is_not_read() -> None:
    desk = Desk()
    packed = head_of((b"content-encoding", b"gzip"))
    desk.timings.keep(packed, record())
    for head, body in ((NOBODY, b'{"x": "' + b"y" * 20_000 + b'"}'), (packed, b'{"post_process": 1}')):
        with pytest.raises(FaultError) as raised:
            desk.timings.report(head, "req-1", body)
        assert raised.value.fault.kind is Kind.BODY_TOO_LARGE
