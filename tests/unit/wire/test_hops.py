"""The mark of a proxy: found again at the first return, harmless in a row of others, bounded in a very long one."""

import pytest

from proxy.model.faults import Kind, Source
from proxy.wire.hops import MOST, Hops
from tests.unit.wire.asking import fault_of, head_of

HERE = Hops("a1")


def mark(unique: str) -> bytes:
    return Hops(unique).line.removeprefix(b"via: ").rstrip()


@pytest.mark.parametrize(
    "via",
    [
        mark("a1"),
        b"1.1 nginx, " + mark("a1"),
        b"1.0 fred,1.1 Tidegate-A1 (a comment), HTTP/2 p.example:80",
        mark("b2") + b"," + mark("a1"),
    ],
)
def test_our_own_mark_ends_the_loop(via: bytes) -> None:
    fault = fault_of(HERE.check, via)
    assert (fault.kind, fault.source) == (Kind.LOOP, Source.INTERNAL)


@pytest.mark.parametrize("via", [b"", b",", b"1.1", b"1.1 varnish", mark("a11"), mark("b2"), b"x tidegate-a1x, 1.1 y"])
def test_others_pass(via: bytes) -> None:
    HERE.check(via)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_row_of_very_many_ends(over: int) -> None:
    via = b", ".join([b"1.1 nginx", *(mark(f"p{number}") for number in range(MOST + over))])
    if over < 0:
        HERE.check(via)
    else:
        assert fault_of(HERE.check, via).kind is Kind.LOOP


def test_what_came_with_it_is_forwarded() -> None:
    head = head_of((b"Via", b"1.1 edge"), (b"via", mark("b2")))
    assert head.fields[b"via"] == b"1.1 edge," + mark("b2")
    assert (b"Via", b"1.1 edge") in head.forward
