"""What bytes a key is, and waking who waits."""

import pytest

from proxy.cli.terminal import Waker, keys_of


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"q", ["q"]),
        (b"\x1b[A\x1b[B\x1bOA", ["up", "down", "up"]),
        (b"\x1b[5~\x1b[6~jk", ["page up", "page down", "down", "up"]),
        (b" \t?2", ["space", "tab", "?", "2"]),
        (b"\x1b[200~", []),
        (b"\x1b", []),
        (b"\x1b[1;5Cq", ["q"]),
        (b"\xc3\xa4\xff\x00", []),
        (b"", []),
    ],
)
def test_keys(data: bytes, keys: list[str]) -> None:
    assert keys_of(data) == keys


def test_whoever_wakes_never_waits_and_wakes_nobody_afterwards() -> None:
    waker = Waker()
    for _ in range(100_000):
        waker()
    waker.clear()
    waker.clear()
    waker.close()
    waker()
