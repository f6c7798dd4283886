"""What a log line says of how a prompt begins."""

from base64 import urlsafe_b64decode
from itertools import pairwise

from proxy.obs.prefix_digests import BORDERS, DIGEST_CHARS, KEY_B, PrefixDigests
from proxy.wire.prompt import MAX_BLOCKS, prefix

KEY = b"k" * KEY_B


def chain(text: str) -> tuple[int, ...]:
    return prefix({"messages": [{"role": "user", "content": text}]}, "m", "t")


def test_prompts_that_begin_alike_have_digests_that_begin_alike() -> None:
    digests = PrefixDigests(KEY)
    one, other = (digests.of(chain("a" * 4000 + end * 2000)) for end in "xy")
    alike = 4000 // 512 * DIGEST_CHARS
    assert one[:alike] == other[:alike]
    assert one[alike:] != other[alike:]
    assert len(one) == 6000 // 512 * DIGEST_CHARS


def test_another_key_or_another_tenant_says_something_else() -> None:
    numbers = chain("a" * 4000)
    assert PrefixDigests(KEY).of(numbers) != PrefixDigests(b"x" * KEY_B).of(numbers)
    others = prefix({"messages": [{"role": "user", "content": "a" * 4000}]}, "m", "another")
    assert PrefixDigests(KEY).of(numbers)[:DIGEST_CHARS] != PrefixDigests(KEY).of(others)[:DIGEST_CHARS]


def test_a_line_has_a_bound_and_a_beginning_is_known_to_a_ninth_of_its_length() -> None:
    assert BORDERS[-1] == MAX_BLOCKS
    assert all(after - before <= max(1, before / 8) for before, after in pairwise(BORDERS))
    longest = PrefixDigests(KEY).of(range(-MAX_BLOCKS // 2, MAX_BLOCKS // 2))
    assert len(longest) == DIGEST_CHARS * len(BORDERS) <= 320
    assert len(urlsafe_b64decode(longest)) == 3 * len(BORDERS)


def test_what_is_shorter_than_a_block_says_nothing() -> None:
    assert PrefixDigests(KEY).of(()) == ""
