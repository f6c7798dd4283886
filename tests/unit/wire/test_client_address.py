"""The client's address as engines are told it."""

import pytest

from proxy.wire.client_address import FORWARDED, SAID_MAX_B, X_FORWARDED_FOR, extended


@pytest.mark.parametrize(
    ("name", "said", "peer", "value"),
    [
        (X_FORWARDED_FOR, None, "192.0.2.1", b"192.0.2.1"),
        (X_FORWARDED_FOR, b"10.1.1.1", "192.0.2.1", b"10.1.1.1, 192.0.2.1"),
        (X_FORWARDED_FOR, None, "2001:db8::1", b"2001:db8::1"),
        (X_FORWARDED_FOR, b" 10.1.1.1 ", "", b"10.1.1.1"),
        (X_FORWARDED_FOR, b"", "", b""),
        (FORWARDED, None, "192.0.2.1", b"for=192.0.2.1"),
        (FORWARDED, b"for=10.1.1.1;proto=https", "2001:db8::1", b'for=10.1.1.1;proto=https, for="[2001:db8::1]"'),
        (X_FORWARDED_FOR, "ünix".encode(), "192.0.2.1", b"192.0.2.1"),
    ],
)
def test_the_list_grows_at_its_end(name: str, said: bytes | None, peer: str, value: bytes) -> None:
    assert extended(name, said, peer) == value


def test_a_long_list_loses_its_beginning_and_no_half_entry_is_left() -> None:
    said = b", ".join(b"10.0.%d.%d" % (i // 250, i % 250) for i in range(1000))
    value = extended(X_FORWARDED_FOR, said, "192.0.2.1")
    assert len(value) <= SAID_MAX_B + 20
    assert value.endswith(b"10.0.3.249, 192.0.2.1")
    assert value.split(b", ")[0] in said.split(b", ")
