"""The order of last use, against the plain way to keep it."""

import random
from collections import OrderedDict

import pytest

from proxy.core.learn.lru import Lru


class PerBlock:
    """One entry per block."""

    def __init__(self) -> None:
        self.blocks: OrderedDict[int, None] = OrderedDict()

    def use(self, chain: list[int]) -> list[int]:
        new = [block for block in chain if block not in self.blocks]
        for block in reversed(chain):
            self.blocks[block] = None
            self.blocks.move_to_end(block)
        return new


@pytest.mark.parametrize("seed", range(5))
def test_the_order_is_that_of_an_entry_per_block(seed: int) -> None:
    rng, recency, plain = random.Random(seed), Lru(), PerBlock()
    for _ in range(3000):
        start = rng.randrange(6) * 100
        chain = list(range(start, start + rng.randrange(30)))
        assert recency.use(chain) == plain.use(chain)
        if plain.blocks and rng.random() < 0.3:
            taken = rng.choice(list(plain.blocks))
            del recency.last[taken], plain.blocks[taken]
        while len(plain.blocks) > 60 or (plain.blocks and rng.random() < 0.5):
            assert recency.pop() == plain.blocks.popitem(last=False)[0]
        assert recency.last.keys() == plain.blocks.keys()


def test_the_same_chain_again_and_again_does_not_make_the_queue_grow() -> None:
    recency = Lru()
    for _ in range(10_000):
        recency.use(range(10))
    assert recency.queued <= 2 * 10 + 256
    assert [recency.pop() for _ in range(10)] == list(reversed(range(10)))
    with pytest.raises(KeyError):
        recency.pop()
