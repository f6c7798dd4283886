"""The book: whose events they are, what is said of them over each window, and what outlives a restart."""

import json
import timeit
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from proxy.model.faults import Kind, downstream, internal, upstream
from proxy.model.outcome import Outcome, Phase, failed_with
from proxy.model.slos import ServiceLevelObjective
from proxy.obs.slo.book import SloBook, SloStatus, key_of
from proxy.obs.slo.burn import WINDOWS_S
from tests.unit.obs.records import record

CHAT = ServiceLevelObjective(name="chat", class_="interactive", objective=0.995)
NOW = 1_800_000_000.0
HOUR, DAY = 3600.0, 86400.0
BAD = failed_with(upstream(Kind.RESET, "x"), Phase.HEAD)
REFUSED = failed_with(internal(Kind.QUEUE_FULL, "x"), Phase.QUEUE)
LEFT = failed_with(downstream(Kind.LEFT, "x"), Phase.STREAM)
WRONG = failed_with(downstream(Kind.INVALID, "x"), Phase.READ)


def status(book: SloBook, now: float = NOW) -> SloStatus:
    return book.status(now)[0]


def counted(book: SloBook, good: int, bad: int = 0, now: float = NOW, outcome: Outcome = BAD, **fields: Any) -> SloBook:
    for _ in range(good):
        book.count(record(**fields), now)
    for _ in range(bad):
        book.count(record(outcome=outcome, **fields), now)
    return book


def test_an_empty_book_has_its_whole_budget() -> None:
    told = status(SloBook([CHAT]))
    assert (told.in_window, told.attainment, told.budget_left, told.exhausted_in_s, told.alert) == (
        (0, 0),
        None,
        1,
        None,
        None,
    )
    assert set(told.burns.values()) == {0.0}


def test_good_bad_and_what_is_no_event() -> None:
    book = counted(SloBook([replace(CHAT, ttft=0.3, e2e=5.0)]), 990, 6)
    counted(book, 0, 3, outcome=REFUSED)
    counted(book, 0, 50, outcome=LEFT)
    counted(book, 0, 50, outcome=WRONG)
    book.count(record(status=200, traffic_class=""), NOW)
    book.count(record(traffic_class="bulk", outcome=BAD), NOW)
    late = record()
    late.meter.first_token = 100.31
    book.count(late, NOW)
    told = status(book)
    assert told.in_window == (990, 1000)
    assert told.attainment == 0.99
    assert told.budget_left == pytest.approx(-1)
    assert told.exhausted_in_s == 0
    assert told.bad == {"ttft": 1, "tpot": 0, "e2e": 0, "refused": 3, "failed": 6}
    assert told.good == 990


def test_of_whom() -> None:
    slos = [
        CHAT,
        replace(CHAT, name="m", model="alias"),
        replace(CHAT, name="t", tenant="4ce9a0d1"),
        replace(CHAT, name="both", model="alias", tenant="4ce9a0d1"),
    ]
    book = SloBook(slos)
    for model in ("alias", "other", ""):  # none named: the one that there is
        for tenant in ("4ce9a0d1", "00000000", ""):
            book.count(record(model_asked=model, model=model or "alias", tenant=tenant), NOW)
    assert [told.good for told in book.status(NOW)] == [9, 6, 3, 2]
    served_otherwise = SloBook(slos)
    served_otherwise.count(record(model_asked="alias", model="small"), NOW)
    assert [told.good for told in served_otherwise.status(NOW)] == [1, 1, 1, 1]


def test_burn_rates_over_each_window() -> None:
    book = SloBook([CHAT])
    for minute in range(3 * 24 * 60):  # three days: one bad of 200 each minute burns at 1…
        now = NOW + minute * 60
        counted(book, 1 if minute % 200 else 0, 0 if minute % 200 else 1, now)
    end = NOW + 3 * DAY - 1
    for _ in range(72):
        counted(book, 0, 1, end)  # …then all at once
    told = status(book, end)
    for name in ("1d", "3d"):
        events = WINDOWS_S[name] / 60
        assert told.burns[name] == pytest.approx((events / 200 + 72) / (events + 72) / 0.005, rel=0.02), name
    assert (
        told.burns["5m"] > told.burns["30m"] > told.burns["1h"] > told.burns["2h"] > told.burns["6h"] > told.burns["1d"]
    )
    assert told.alert == "page"
    assert told.in_window[1] == 3 * 24 * 60 + 72


def test_until_it_is_exhausted() -> None:
    book = counted(SloBook([CHAT]), 99_900, 100, NOW - 2 * DAY)
    assert status(book).exhausted_in_s is None
    counted(book, 900, 100)
    told = status(book)
    left = 1 - (200 / 101_000) / 0.005
    assert told.budget_left == pytest.approx(left)
    assert told.exhausted_in_s == pytest.approx(left * 30 * DAY / (0.1 / 0.005))


@pytest.mark.parametrize("window", [HOUR, 1.5 * HOUR, DAY, 3 * DAY, 7 * DAY, 30 * DAY, 92 * DAY])
def test_what_is_older_than_the_window_is_forgotten(window: float) -> None:
    book = counted(SloBook([replace(CHAT, window=window)]), 0, 5, NOW)
    inside = NOW + window * 0.95
    counted(book, 5, 0, inside)
    assert status(book, inside).in_window == (5, 10)
    assert status(book, NOW + window * 1.01).in_window == (5, 5)


def test_jumps_of_the_clock_leave_numbers_that_can_be() -> None:
    dice, book, now = Random(7), SloBook([CHAT]), NOW
    for count in range(1, 2001):
        now += dice.choice([0.5, 20.0, 400.0, -400.0, DAY, -DAY, 400 * DAY, -400 * DAY])
        counted(book, 1, 0, now) if dice.random() < 0.9 else counted(book, 0, 1, now)
        told = status(book, now + dice.choice([0.0, 1.0, -30.0, HOUR]))
        good, total = told.in_window
        assert 0 <= good <= total <= count
        assert all(0 <= rate <= 200.0001 for rate in told.burns.values())
        assert told.budget_left <= 1


def test_a_step_of_the_clock_keeps_the_month() -> None:
    book = counted(SloBook([CHAT]), 1000, 0, NOW - DAY)
    counted(book, 3, 0, NOW + 400 * DAY)
    counted(book, 10, 0, NOW)
    assert status(book).in_window == (1010, 1010)


def test_shown_is_plain() -> None:
    book = counted(SloBook([replace(CHAT, ttft=0.3)]), 9, 1)
    shown = book.shown(NOW)
    assert json.loads(json.dumps(shown)) == shown
    (one,) = shown
    assert (one["name"], one["class"], one["objective"], one["events"], one["bad_events"]) == (
        "chat",
        "interactive",
        0.995,
        10,
        1,
    )
    assert one["attainment"] == 0.9
    assert set(one["burn_rates"]) == set(WINDOWS_S)
    assert one["thresholds_s"] == {"ttft": 0.3, "tpot": None, "e2e": None}
    assert one["alert"] == "page"


def test_another_process_goes_on_where_this_one_was() -> None:
    first = counted(counted(SloBook([CHAT]), 95, 5, NOW - DAY), 10, 0)
    rows = first.take_unsaved()
    assert first.take_unsaved() == []
    second = SloBook([CHAT])
    second.load(rows)
    before, after = status(first), status(second)
    assert (after.in_window, after.burns) == (before.in_window, before.burns)
    assert (after.good, sum(after.bad.values())) == (0, 0), "counters are the process's"
    assert second.take_unsaved() == []


def test_another_threshold_begins_anew_and_another_share_does_not() -> None:
    rows = counted(SloBook([CHAT]), 10).take_unsaved()
    for slo, events in {
        replace(CHAT, objective=0.9, window=DAY): 10,
        replace(CHAT, ttft=0.2): 0,
        replace(CHAT, name="other"): 0,
        replace(CHAT, class_="bulk"): 0,
    }.items():
        book = SloBook([slo])
        book.load(rows)
        assert status(book).in_window[1] == events, slo


def test_rows_that_make_no_sense_are_left_out() -> None:
    key = key_of(CHAT)
    rows: list[Any] = [
        (key, 10, int(NOW) // 10, 5, 3),
        (key, 10, int(NOW) // 10, -5, 3),
        (key, 10, int(NOW) // 10, 1, 1 << 60),
        (key, 10, "x", 1, 2),
        (key, 10, int(NOW) // 10, None, 2),
        (key, 10, int(NOW) // 10, 1.5, 2),
        (key, 7, int(NOW) // 10, 1, 2),
        ("nobody", 10, int(NOW) // 10, 1, 2),
    ]
    book = SloBook([CHAT])
    book.load(rows)
    assert status(book).burns["5m"] == 0


def test_what_could_not_be_saved_is_saved_later() -> None:
    book = counted(SloBook([CHAT]), 3, 1)
    taken = book.take_unsaved()
    counted(book, 2)
    book.give_back(taken)
    totals: dict[int, tuple[int, int]] = {}
    for _, width, _, good, total in book.take_unsaved():
        totals[width] = good, total
    assert totals == {10: (5, 6), 300: (5, 6), 3600: (5, 6)}
    assert status(book).in_window == (5, 6)


def test_a_class_without_objectives_costs_one_look() -> None:
    """Instructions are not counted here: an order of magnitude is enough to see a loop over all objectives."""
    none = SloBook([replace(CHAT, name=f"s{number}", class_="bulk") for number in range(32)])
    one = record()
    assert min(timeit.repeat(lambda: none.count(one, NOW), number=1000, repeat=5)) < 0.01
