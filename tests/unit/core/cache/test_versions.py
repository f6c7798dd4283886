"""Whatever changes an answer changes the stamp, and nothing else does."""

from itertools import combinations
from time import perf_counter

from proxy.core.cache.store import Store
from proxy.core.cache.versions import MAX_NAMED, Versions


def test_nothing_changed_nothing_changes() -> None:
    versions = Versions("1", {"a": "x"})
    assert versions.stamp("a") == versions.stamp("a")
    assert versions.stamp("a") == Versions("1", {"a": "x"}).stamp("a")  # the same in another proxy


def test_every_part_is_told_apart() -> None:
    stamps = [
        Versions().stamp("a"),
        Versions("1").stamp("a"),
        Versions("", {"a": "1"}).stamp("a"),
        Versions().stamp("b"),
        Versions().stamp("a", "p@1"),
        Versions().stamp("a", "p@2"),
        Versions("1:a").stamp(""),
    ]
    assert all(one != other for one, other in combinations(stamps, 2))


def test_a_bump_is_for_all_or_for_what_it_names() -> None:
    versions = Versions()

    def stamps() -> dict[str, bytes]:
        return {
            "a": versions.stamp("a"),
            "b": versions.stamp("b"),
            "a with p@1": versions.stamp("a", "p@1"),
            "a with p@2": versions.stamp("a", "p@2"),
        }

    def changed(model: str, prompt: str) -> set[str]:
        before = stamps()
        versions.bump(model, prompt)
        return {name for name, stamp in stamps().items() if stamp != before[name]}

    assert changed("", "") == set(stamps())
    assert changed("a", "") == {"a", "a with p@1", "a with p@2"}
    assert changed("", "p") == {"a with p@1", "a with p@2"}
    assert changed("", "p@2") == {"a with p@2"}
    assert changed("c", "") == set()


def test_a_bump_costs_the_same_whatever_is_kept() -> None:
    store, versions = Store(1 << 40, 1 << 20), Versions()
    for number in range(100_000):
        store.put(b"a", number.to_bytes(32, "big"), None, 1, 0.0, 10.0)
    began = perf_counter()
    versions.bump()
    assert perf_counter() - began < 0.005
    assert store.count == 100_000


def test_so_many_names_have_epochs_of_their_own() -> None:
    versions = Versions()
    for number in range(MAX_NAMED + 10):
        versions.bump(f"m{number}")
    assert versions.count() == 10  # the rest counts for everything
    assert versions.count(f"m{MAX_NAMED - 1}") == 1


def test_an_engine_with_other_weights_has_another_stamp() -> None:
    versions = Versions()
    versions.told("b1", {"a": "sha-1"})
    first = versions.stamp("a")
    versions.told("b2", {"a": "sha-1"})
    assert versions.stamp("a") == first  # the same weights on another backend
    versions.told("b2", {"a": "sha-2"})
    mixed = versions.stamp("a")
    versions.told("b1", {"a": "sha-2"})
    last = versions.stamp("a")
    assert len({first, mixed, last}) == 3
    versions.told("b2", {})
    assert versions.stamp("a") == last
    versions.told("b1", {})
    assert versions.stamp("a") == Versions().stamp("a")


def test_an_answer_is_current_as_long_as_an_engine_says_the_same_of_itself() -> None:
    versions = Versions("", {"fixed": "v1"})
    assert versions.is_current("a", "fp-1")  # nobody has said anything yet
    versions.answered("b1", "a", "fp-1")
    assert versions.is_current("a", "fp-1")
    assert versions.is_current("a", "")
    assert not versions.is_current("a", "fp-2")
    versions.answered("b2", "a", "fp-2")
    assert versions.is_current("a", "fp-1")
    versions.answered("b1", "a", "fp-2")
    assert not versions.is_current("a", "fp-1")
    assert versions.is_current("b", "fp-1")
    versions.answered("b1", "fixed", "fp-1")
    assert versions.is_current("fixed", "fp-2")  # people know better


def test_a_configured_revision_goes_before_what_engines_tell() -> None:
    versions = Versions("", {"a": "v1"})
    first = versions.stamp("a")
    versions.told("b1", {"a": "sha-1"})
    versions.answered("b1", "a", "fp-1")
    assert versions.stamp("a") == first


def test_epochs_are_shared_with_other_proxies() -> None:
    one, other = Versions(), Versions()
    name = one.bump()
    assert one.unshared() == {name: 1}
    assert one.stamp("a") != other.stamp("a")
    one.told_others(name, 1, 7)
    other.shared({name: 7})
    assert one.unshared() == {}
    assert one.stamp("a") == other.stamp("a")
    other.shared({name: 7})
    assert one.stamp("a") == other.stamp("a")


def test_what_was_asked_before_a_change_is_not_the_answer_after_it() -> None:
    versions = Versions()
    generations = [versions.generation]
    versions.bump()
    generations.append(versions.generation)
    versions.told("b1", {"a": "1"})
    generations.append(versions.generation)
    versions.shared({"": 3})
    generations.append(versions.generation)
    assert len(set(generations)) == 4
    versions.told("b1", {"a": "1"})
    versions.shared({"": 3})
    assert versions.generation == generations[-1]
