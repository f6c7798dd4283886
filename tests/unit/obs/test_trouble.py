"""Trouble is told when it begins, once per interval while it lasts or comes and goes, and when it is over."""

from proxy.obs.trouble import TELL_EVERY_S, Trouble


class Told:
    def __init__(self) -> None:
        self.heard: list[str | None] = []
        self.now = 0.0
        self.trouble: Trouble[str] = Trouble(self.heard.append, lambda: self.now)


def test_nothing_is_wrong() -> None:
    told = Told()
    told.trouble.ends()
    assert told.heard == []


def test_what_lasts_is_told_once_per_interval() -> None:
    told = Told()
    for second in range(150):
        told.now = float(second)
        told.trouble.begins(f"at {second}")
    assert told.heard == ["at 0", "at 60", "at 120"]
    told.trouble.ends()
    told.trouble.ends()
    assert told.heard[3:] == [None]


def test_what_comes_and_goes_is_not_told_each_time() -> None:
    told = Told()
    for _ in range(10):
        told.trouble.begins("a")
        told.trouble.ends()
    assert told.heard == ["a", None]
    told.now = TELL_EVERY_S
    told.trouble.begins("b")
    assert told.heard == ["a", None, "b"]
