"""What a viewer knows: as the events made it, and bounded however long it watches."""

import sys

from proxy.report.screen.watched import MOST_CLASSES, MOST_DECISIONS, SAMPLES, Ring, Watched
from tests.unit.report.screen.documents import decision, lane, status


def test_changes_are_patches_and_decisions_are_added() -> None:
    watched = Watched()
    assert not watched.take("change", {"at": 1.0}), "nothing is known yet"
    assert watched.take("status", {**status(), "past": {}})
    assert "past" not in watched.document
    fresh = [decision(5), decision(4), decision(3)]
    assert watched.take("change", {"at": 9.0, "cache": None, "totals": {"held": 7}, "decisions": fresh})
    assert (watched.document["at"], watched.document["totals"]["held"]) == (9.0, 7)
    assert "cache" not in watched.document
    assert watched.document["totals"]["offered"] == 46
    assert [one["seq"] for one in watched.document["decisions"]] == [5, 4, 3, 2, 1]
    assert not watched.take("nonsense", {})


def test_after_a_restart_nothing_of_the_former_life_is_left() -> None:
    watched = Watched()
    watched.take("status", status())
    for _ in range(5):
        watched.take("change", {})
    watched.take("status", status(instance="another", decisions=[], notable=[]))
    assert watched.document["decisions"] == []
    assert len(watched.trends["interactive"].ttft.columns(10)) == 1


def test_the_past_of_the_proxy_is_taken_over() -> None:
    past = {name: {"step_s": 2, "tokens_per_s": [1.0, 3.0], "good_tokens_per_s": [1.0, 2.0]} for name in ("a", "b")}
    watched = Watched()
    watched.take("status", status(past=past))
    assert watched.throughput.columns(5) == [2.0, 2.0, 6.0, 6.0, 244.6]
    assert watched.goodput.columns(5)[:4] == [2.0, 2.0, 4.0, 4.0]


def test_hours_do_not_make_it_grow() -> None:
    watched = Watched()
    watched.take("status", status())
    seq = 3
    for second in range(8 * 3600):
        seq += 1
        classes = {f"class-{second % 500}": lane(), f"class-{(second - 100) % 500}": None}
        change = {"classes": classes} if second < 2000 else {}
        watched.take("change", {**change, "decisions": [decision(seq)], "notable": [decision(seq)]})
    assert len(watched.document["decisions"]) == len(watched.document["notable"]) == MOST_DECISIONS
    assert len(watched.trends) <= MOST_CLASSES
    assert len(watched.goodput.columns(10_000)) == SAMPLES
    assert sys.getsizeof(watched.trends) < 10_000


def test_columns_stay_where_they_are_while_samples_come() -> None:
    ring = Ring()
    for value in range(1000):
        ring.add(float(value))
    before = ring.columns(30)
    ring.add(1000.0)
    after = ring.columns(30)
    assert len(before) == len(after) == 30
    assert set(before[2:-1]) <= set(after)
    assert Ring().columns(10) == []
    assert ring.columns(0) == []


def test_a_gap_is_a_gap() -> None:
    ring = Ring()
    for value in (1.0, None, 2.0):
        ring.add(value)
    assert ring.columns(10) == [1.0, None, 2.0]


def test_a_still_one_does_not_follow() -> None:
    watched = Watched()
    watched.take("status", status())
    still = watched.still()
    watched.take("change", {"at": 99.0})
    assert (still.document["at"], watched.document["at"]) == (1_795_966_697.0, 99.0)
