"""Who goes on from rung to rung."""

from proxy.bench.forecast.halving import halve


def test_the_best_is_found_with_few_plays_of_everything() -> None:
    played: list[tuple[int, int]] = []

    def worth(candidate: int, rung: int) -> float:
        played.append((candidate, rung))
        return -abs(candidate - 17) + (0.4 if rung == 0 and candidate % 2 else 0.0)

    found = halve(range(27), 3, worth, lambda: False)
    assert found.places[0][0] == 17
    assert found.rungs == 3
    assert sum(rung == 2 for _, rung in played) <= 4
    assert (0, 2) in played


def test_time_that_is_spent_leaves_the_last_whole_rung() -> None:
    left = [30]

    def worth(candidate: int, rung: int) -> float:
        left[0] -= 1
        return float(candidate)

    found = halve(range(27), 3, worth, lambda: left[0] <= 0)
    assert found.rungs == 1
    assert found.places[0] == (26, 26.0)
    assert len(found.places) == 27


def test_time_for_nearly_nothing() -> None:
    found = halve(range(9), 3, lambda candidate, _: float(candidate), lambda: True)
    assert found.places == ((0, 0.0),)
