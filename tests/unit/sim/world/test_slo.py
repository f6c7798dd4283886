"""The line of text that says what is promised."""

import pytest

from proxy.sim.engine.spec import MOONCAKE16
from proxy.sim.world.slo import parse_slo, promised
from proxy.workload.arrival import Arrival, Slo


def test_the_rule_of_the_published_simulation() -> None:
    short, long = promised([Arrival(0, 100, 1), Arrival(0, 60_000, 1)], parse_slo("mooncake"))
    assert short.slo == Slo(2.0, 0.1)
    assert long.slo.ttft_s == pytest.approx(3 * MOONCAKE16.prefill_s(0, 60_000))
    assert long.slo.ttft_s == pytest.approx(3 * (0.057 * 60 + 0.0044 * 3600))


def test_classes_have_their_own() -> None:
    rules = parse_slo("interactive:ttft=200ms,tpot=40ms; bulk:none; *:e2e=60s")
    arrivals = [Arrival(0, 1, 1, traffic_class=name) for name in ("interactive", "bulk", "other", None)]
    assert [a.slo for a in promised(arrivals, rules)] == [Slo(0.2, 0.04), Slo(), Slo(e2e_s=60.0), Slo(e2e_s=60.0)]
    assert promised(arrivals, rules)[1].slo.promises_nothing


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("soon", "not a promise"),
        ("ttft=5", "unit"),
        ("ttft=0s", "never be kept"),
        ("ttft=-1s", "negative"),
        ("itl=5ms", "not a promise"),
        ("ttft=0x", "never be kept"),
        ("ttft=nanx", "never be kept"),
        ("ttft=-3x", "never be kept"),
        ("ttft=1s,prefill=x", "not a number"),
        ("ttft=1s,prefill=nan", "never be kept"),
        ("a:none;a:none", "two SLOs"),
    ],
)
def test_nonsense_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_slo(text)


@pytest.mark.parametrize("text", ["ttft=3x", "prefill=3"])
def test_a_factor_of_the_unloaded_prefill_of_each_prompt(text: str) -> None:
    [rule] = parse_slo(text).values()
    assert rule.slo(10_000).ttft_s == pytest.approx(3 * (0.057 * 10 + 0.0044 * 100))
    assert rule.slo(20_000).ttft_s == pytest.approx(3 * (0.057 * 20 + 0.0044 * 400))
    assert rule.slo(10).ttft_s == pytest.approx(3 * 0.0106), "one step at least"


def test_what_a_request_was_promised_itself_goes_first() -> None:
    own, other = Arrival(0.0, 10, 1, slo=Slo(ttft_s=9.0)), Arrival(0.0, 10, 1)
    assert [a.slo.ttft_s for a in promised([own, other], parse_slo("ttft=1s"))] == [9.0, 1.0]
