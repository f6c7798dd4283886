"""Blocks and cached prefixes against a naive model."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from proxy.sim.engine.kv_pool import KvPool


def test_the_least_recently_used_prefix_goes_first_and_its_tail_before_its_head() -> None:
    pool = KvPool(6)
    for hashes in ((1, 2, 3), (7, 8, 9)):
        pool.take(3)
        for node in hashes:
            pool.publish((node,))
        pool.release(hashes)
    pool.acquire((1,))
    pool.release((1,))
    pool.take(2)
    assert pool.match((1, 2, 3), 3) == (1, 1), "2 and 3 are the oldest"
    assert pool.match((7, 8, 9), 3) == (3, 3)


def test_a_prefix_in_use_is_not_evicted_and_costs_nobody_twice() -> None:
    pool = KvPool(4)
    pool.take(2)
    pool.publish((1,))
    pool.publish((2,))
    pool.acquire((1, 2))
    assert pool.used == 2
    pool.release((1, 2))
    assert (pool.used, pool.available) == (2, 2)
    pool.release((1, 2))
    assert (pool.used, pool.cached) == (0, 2)
    pool.forget()
    assert pool.cached == 0


def test_whoever_computes_the_same_prefix_later_gives_its_blocks_back() -> None:
    pool = KvPool(8, blocks_per_node=2)
    pool.take(4)
    pool.publish((5,))
    pool.publish((5,))
    assert (pool.used, pool.private) == (2, 0)


class PoolMachine(RuleBasedStateMachine):
    """Random holders of random prefixes: nothing is over budget, all is free in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = KvPool(24, blocks_per_node=2)
        self.holders: list[tuple[tuple[int, ...], int]] = []

    @rule(family=st.integers(0, 3), nodes=st.integers(0, 5), more=st.integers(0, 3))
    def enter(self, family: int, nodes: int, more: int) -> None:
        hashes = tuple(family * 10 + i for i in range(nodes))
        found, idle = self.pool.match(hashes, nodes)
        fresh = (nodes - found) * 2 + more
        if fresh + idle > self.pool.available:
            return
        self.pool.acquire(hashes[:found])
        self.pool.take(fresh)
        for node in hashes[found:]:
            self.pool.publish((node,))
        assert self.pool.match(hashes, nodes)[0] == nodes
        self.holders.append((hashes, more))

    @precondition(lambda self: self.holders)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        hashes, private = self.holders.pop(data.draw(st.integers(0, len(self.holders) - 1)))
        self.pool.give(private)
        self.pool.release(hashes)

    @invariant()
    def within_budget(self) -> None:
        nodes = {node for hashes, _ in self.holders for node in hashes}
        assert self.pool.used == 2 * len(nodes) + sum(private for _, private in self.holders)
        assert self.pool.used + self.pool.cached <= self.pool.total


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=40, deadline=None)
