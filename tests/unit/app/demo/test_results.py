"""What a scene's table says of what its clients saw."""

from proxy.app.demo.results import HEADER, KINDS, Result, is_good, live_line, result_of
from proxy.sim.http.traffic import End, Kind, Seen


def seen(
    kind: Kind = "chat", end: End = "served", ttft_s: float | None = 0.1, tpot_s: float | None = 0.02, **rest: object
) -> Seen:
    values = {"asked": 100.0, "backend": "chat-1", "tokens": 10} | rest
    return Seen(kind=kind, end=end, ttft_s=ttft_s, tpot_s=tpot_s, **values)  # type: ignore[arg-type]


def test_a_chat_is_good_within_both_promises_and_bulk_when_it_is_answered() -> None:
    assert is_good(seen())
    assert not is_good(seen(ttft_s=0.201))
    assert not is_good(seen(tpot_s=0.051))
    assert not is_good(seen(end="refused", ttft_s=None, tpot_s=None))
    assert is_good(seen("bulk", ttft_s=9.0))
    assert is_good(seen(tpot_s=None))


def test_ends_are_counted_apart_and_only_good_tokens_are_goodput() -> None:
    ends: tuple[End, ...] = ("served", "refused", "lost", "cut")
    result = result_of([*(seen(end=end) for end in ends), seen(ttft_s=1.0), seen("bulk")], "chat", 100.0, 2.0)
    assert (result.asked, result.good, result.refused, result.lost, result.cut) == (5, 1, 1, 1, 1)
    assert result.good_tokens_per_s == 5.0
    assert result.share_good == 0.2


def test_who_waits_counts_once_he_is_late() -> None:
    soon, late = seen(end="waiting", ttft_s=0.1), seen(end="waiting", ttft_s=3.0, backend="")
    assert result_of([soon], "chat", 100.0, 1.0).asked == 0
    assert result_of([late], "chat", 100.0, 1.0).share_good == 0.0
    assert result_of([seen("bulk", end="waiting", ttft_s=3.0)], "bulk", 100.0, 1.0).asked == 0


def test_who_answered_at_first_and_later() -> None:
    result = result_of([seen(), seen(asked=111.0, backend="chat-2")], "chat", 100.0, 20.0)
    assert result.by_backend == {"chat-1": 1, "chat-2": 1}
    assert result.settled == {"chat-2": 1}


def test_nothing_at_all_is_said_as_nothing() -> None:
    for kind in KINDS:
        assert len(Result().row("normal", kind)) == len(HEADER)
        assert Result().row("normal", kind)[3] == "-"
    assert "TTFT p50 / p99 - / - ms" in live_line([], 0.0)
