"""Closed sets of label values stay closed, whatever is asked for."""

import random

from proxy.obs.labels import NONE, OTHER, Labels


def test_names_that_were_told_stand_for_themselves() -> None:
    labels = Labels(["a", "b", "a"], 5)
    assert [labels.of(name) for name in ("a", "b", "c", "")] == ["a", "b", OTHER, NONE]
    assert len(labels) == 2


def test_more_names_than_there_is_room_for_are_others() -> None:
    labels = Labels(["a", "b", "c"], 2)
    assert [labels.of(name) for name in ("a", "b", "c")] == ["a", "b", OTHER]


def test_listed_names_come_in_until_it_is_full() -> None:
    labels = Labels(["told"], 3, lambda name: name if name.startswith("listed") else None)
    assert [labels.of(name) for name in ("x", "listed1", "listed2", "listed3", "listed1")] == [
        OTHER,
        "listed1",
        "listed2",
        OTHER,
        "listed1",
    ]
    assert labels.of("told") == "told"


def test_spellings_of_one_name_are_one_value() -> None:
    labels = Labels([], 4, lambda name: name.lower())
    assert {labels.of(spelling) for spelling in ("Model", "MODEL", "model")} == {"model"}
    assert len(labels) == 1


def test_what_is_remembered_is_bounded() -> None:
    dice = random.Random(7)
    labels = Labels(["told"], 8, lambda name: "m" if name.lower().startswith("m") else None)
    names = [dice.choice("mMx") + f"{dice.getrandbits(64):x}" for _ in range(10_000)]
    assert {labels.of(name) for name in names} == {"m", OTHER}
    assert len(labels) == 2
    assert len(labels._known) <= 4 * 8 + 1


def test_another_configuration_brings_names_while_there_is_room() -> None:
    labels = Labels(("a",), 2)
    labels.know(("a", "b", "c"))
    assert [labels.of(name) for name in ("a", "b", "c")] == ["a", "b", OTHER]
