"""One request that ended, as the page shows it."""

import pytest

from proxy.model.classes import Promise
from proxy.model.faults import Kind, internal
from proxy.model.outcome import Phase, failed_with
from proxy.obs.decision import detail, stages, told, why
from proxy.wire.meter import Meter
from tests.unit.obs.records import record, timeline

NOW, WALL = 110.0, 5000.0
REFUSED = failed_with(internal(Kind.QUEUE_FULL, "full"), Phase.QUEUE)


def test_in_one_line() -> None:
    line = told(7, record(promise=Promise(ttft_s=0.2)), NOW, WALL)
    assert line["seq"] == 7
    assert line["ended_at"] == WALL - 8.0
    assert line["ttft_s"] == pytest.approx(0.25)
    assert line["e2e_s"] == pytest.approx(2.0)
    assert line["queued_s"] == pytest.approx(0.002)
    assert line["missed"] == ["ttft"]


def test_the_stages_have_no_gap() -> None:
    one = record()
    spent = stages(one.timeline, one.meter)
    assert [stage["stage"] for stage in spent] == ["understand", "queue", "connect", "prefill", "decode", "finish"]
    assert sum(stage["s"] for stage in spent) == pytest.approx(2.0)
    assert all(stage["s"] >= 0.0 for stage in spent)


@pytest.mark.parametrize(
    ("missing", "names"),
    [
        (("released", "connected", "first_byte"), ["understand", "queue"]),
        (("connected", "first_byte"), ["understand", "queue", "engine"]),
        (("first_byte",), ["understand", "queue", "connect", "engine"]),
        ((), ["understand", "queue", "connect", "engine", "finish"]),
        (("understood", "released", "connected", "first_byte"), ["queue"]),
    ],
)
def test_what_it_ended_in_lasts_until_its_end(missing, names) -> None:
    spent = stages(timeline(**dict.fromkeys(missing)), Meter())
    assert [stage["stage"] for stage in spent] == names
    assert sum(stage["s"] for stage in spent) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({}, ""),
        ({"cache": "hit"}, "cache hit"),
        ({"outcome": REFUSED}, "queue_full"),
        ({"outcome": REFUSED, "reason": "ttft"}, "ttft"),
        ({"fallback": "model:small"}, "fallback model:small"),
        ({"hedge": "won", "attempts": 2}, "hedge won"),
        ({"attempts": 2}, "retry"),
    ],
)
def test_why(fields, word) -> None:
    assert why(record(**fields)) == word


def test_all_of_it_shortens_what_clients_chose() -> None:
    told_all = detail(1, record(model_asked="<b>" * 500, tenant="team-alpha-europe"), NOW, WALL)
    assert len(told_all["model"]) == 200
    assert told_all["tenant"] == "team-alpha-europe"
    assert told_all["cached_tokens"] == 16
