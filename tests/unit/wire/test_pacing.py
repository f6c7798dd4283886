"""The de-jitter buffer on a clock of its own."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.pacing import Pacer

_TOLERANCE_S = 1e-9


def run(arrivals: list[tuple[float, int]], max_delay_s: float = 0.05) -> tuple[list[float], list[float], float]:
    """(when each event came, when it left, when the stream closed): the pacer asked exactly when it says."""
    pacer = Pacer(max_delay_s)
    came: list[float] = []
    left: list[float] = []
    order: list[bytes] = []

    def take(events: list[bytes], now: float) -> None:
        order.extend(events)
        left.extend([now] * len(events))

    for at, (now, count) in enumerate(arrivals):
        while (next_at := pacer.next_at()) is not None and next_at <= now:
            take(pacer.due(next_at), next_at)
        pacer.push([b"%d" % (len(came) + number) for number in range(count)], now)
        came += [now] * count
        take(pacer.due(now), now)
        assert at > 0 or len(order) >= min(1, count), "the first event is never held"
    end = arrivals[-1][0]
    take(pacer.close(end), end)
    assert pacer.next_at() is None
    assert order == [b"%d" % number for number in range(len(came))]
    return came, left, end


arrivals_of_a_stream = st.lists(
    st.tuples(st.floats(0, 0.3) | st.sampled_from([0.0, 1e-6, 0.02, 30.0]), st.integers(1, 20)), min_size=1, max_size=40
)


@given(arrivals_of_a_stream, st.sampled_from([0.0, 0.005, 0.05, 1.0]))
def test_nothing_is_held_longer_than_the_bound_nor_out_of_order(
    gaps: list[tuple[float, int]], max_delay_s: float
) -> None:
    now, arrivals = 100.0, []
    for gap, count in gaps:
        now += gap
        arrivals.append((now, count))
    came, left, end = run(arrivals, max_delay_s)
    assert left == sorted(left)
    assert left[0] == came[0]
    assert left[-1] <= end
    for arrived, gone in zip(came, left, strict=True):
        assert arrived <= gone <= arrived + max_delay_s + _TOLERANCE_S


def test_a_burst_is_spread_over_the_learned_gap() -> None:
    steady = [(at * 0.01, 1) for at in range(50)]
    _, left, _ = run([*steady, (0.53, 4), (0.6, 1)])
    burst = left[50:54]
    gaps = [later - earlier for earlier, later in itertools.pairwise(burst)]
    assert burst[0] == 0.53
    assert all(0.008 < gap < 0.012 for gap in gaps)


def test_a_long_burst_is_spread_over_the_bound() -> None:
    steady = [(at * 0.04, 1) for at in range(50)]
    _, left, _ = run([*steady, (2.2, 10), (3.0, 1)])
    burst = left[50:60]
    assert burst[-1] - burst[0] > 0.03
    assert len(set(burst)) == 10


def test_a_steady_stream_is_not_held() -> None:
    came, left, _ = run([(at * 0.02, 1) for at in range(100)])
    assert max(gone - arrived for arrived, gone in zip(came, left, strict=True)) < 0.002


def test_jitter_gets_smaller() -> None:
    arrivals = [(at * 0.02 + (0.015 if at % 3 == 0 else 0.0), 1) for at in range(300)]
    came, left, _ = run(arrivals)

    def spread(times: list[float]) -> float:
        gaps = [later - earlier for earlier, later in itertools.pairwise(times[50:-4])]
        return max(gaps) - min(gaps)

    assert spread(left) < spread(came) / 2


def test_a_pause_does_not_slow_down_what_follows() -> None:
    steady = [(at * 0.01, 1) for at in range(50)]
    after = [(60.0 + at * 0.01, 1) for at in range(50)]
    came, left, _ = run(steady + after)
    assert max(gone - arrived for arrived, gone in zip(came[-20:], left[-20:], strict=True)) < 0.02


def test_a_flood_waits_in_a_bounded_buffer() -> None:
    pacer = Pacer()
    pacer.push([b"a"], 0.0)
    pacer.push([b"b"], 0.04)
    pacer.due(0.04)
    pacer.push([b"c"] * 5000, 0.08)
    assert len(pacer.due(0.08)) >= 5000 - 1024


def test_close_lets_everything_go_and_asks_for_no_timer() -> None:
    pacer = Pacer()
    pacer.push([b"a"], 0.0)
    pacer.push([b"b", b"c"], 0.04)
    pacer.due(0.04)
    assert pacer.close(0.041) == [b"c"]
    assert pacer.next_at() is None
