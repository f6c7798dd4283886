"""What passes is held within two bounds."""

from proxy.wire.tap import Tap, Taps


def test_all_that_passed_is_there_in_the_end() -> None:
    taps = Taps(10_000)
    tap = Tap(taps, 1000)
    for piece in (b"a", b"", b"bc"):
        tap.saw(piece)
    assert taps.left_b < 10_000
    assert tap.taken() == b"abc"
    assert taps.left_b == 10_000
    assert tap.taken() is None
    tap.saw(b"late")
    assert taps.left_b == 10_000


def test_what_grows_too_large_is_let_go_of_at_once() -> None:
    taps = Taps(10_000)
    tap = Tap(taps, 1000)
    tap.saw(bytes(900))
    tap.saw(bytes(900))
    assert taps.left_b == 10_000
    assert tap.taken() is None


def test_small_pieces_count_for_what_they_take() -> None:
    tap = Tap(Taps(10_000), 1000)
    for _ in range(20):
        tap.saw(b"x")
    assert not tap.is_open


def test_what_is_held_outlives_its_answer() -> None:
    taps = Taps(1000)
    held, other = Tap(taps, 1000), Tap(taps, 1000)
    held.is_held = True
    for tap in (held, other):
        tap.saw(b"abc")
        tap.release()
    assert held.taken() == b"abc"
    assert other.taken() is None
    assert taps.left_b == 1000


def test_all_together_have_a_bound() -> None:
    taps = Taps(1000)
    first, second = Tap(taps, 1000), Tap(taps, 1000)
    first.saw(bytes(800))
    second.saw(bytes(800))
    assert first.is_open
    assert not second.is_open
    first.drop()
    assert taps.left_b == 1000
