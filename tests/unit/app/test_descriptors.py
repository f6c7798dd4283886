"""How descriptors are shared: everybody gets something, together never more than there are."""

import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.app import descriptors
from proxy.app.descriptors import LEAST, current_limit, needed, raise_limit, shared, viewers
from proxy.model.cache import CacheSettings


@given(st.integers(LEAST, 1 << 20), st.integers(1, 1 << 16), st.integers(1, 2000))
def test_together_no_more_than_there_are(limit: int, clients: int, backends: int) -> None:
    shares = shared(limit, clients, backends)
    assert min(shares) > 0
    assert shares.clients <= clients
    assert shares.clients <= shares.upstream, "every client may need a connection to an engine"
    for_probes = min(2 * backends, limit // 2 - 48)  # a small limit reserves for few of them
    assert shares.clients + shares.upstream + 2 * shares.admin + for_probes <= limit


@given(st.integers(8, 120))
def test_whoever_watches_the_page_leaves_room_for_probes(admin: int) -> None:
    assert 0 < viewers(admin) < admin
    assert viewers(120) == 100


@pytest.mark.parametrize("limit", [LEAST, 256, 1024])
def test_a_small_limit_gives_most_to_clients_and_engines(limit: int) -> None:
    shares = shared(limit, 4096, 2)
    assert shares.clients + shares.upstream > 0.45 * limit


@given(st.integers(1000, 1 << 16), st.integers(1, 100))
def test_with_what_is_needed_every_client_wanted_may_come(clients: int, backends: int) -> None:
    limit = needed(clients, backends)
    assert shared(limit, clients, backends).clients == clients
    assert shared(limit - 2, clients, backends).clients < clients


def test_the_second_level_of_the_cache_keeps_what_it_needs() -> None:
    with_it = CacheSettings(size=1 << 20, remote="redis://127.0.0.1:6379")
    without = (CacheSettings(), CacheSettings(size=1 << 20))
    assert [descriptors.of_second_level(cache) for cache in without] == [0, 0]
    others = descriptors.of_second_level(with_it)
    assert others > 0
    assert needed(100, 1, others) == needed(100, 1) + others
    assert shared(needed(100, 1, others), 100, 1, others).clients == 100


class Limits:
    """Stands for the process's own."""

    RLIM_INFINITY = resource.RLIM_INFINITY
    RLIMIT_NOFILE = resource.RLIMIT_NOFILE

    def __init__(self, soft: int, hard: int) -> None:
        self.now = (soft, hard)

    def getrlimit(self, _: int) -> tuple[int, int]:
        return self.now

    def setrlimit(self, _: int, limits: tuple[int, int]) -> None:
        self.now = limits


NO_LIMIT = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "soft_after", "told"),
    [
        (1024, 4096, 4096, 4096),
        (1024, 1 << 19, 8400, 8400),
        (1024, NO_LIMIT, 8400, 8400),
        (1024, 1024, 1024, 1024),
        (20_000, 30_000, 20_000, 8400),
        (NO_LIMIT, NO_LIMIT, NO_LIMIT, 8400),
    ],
)
def test_the_limit_is_raised_as_far_as_it_may_be(
    soft: int, hard: int, soft_after: int, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Limits(soft, hard)
    monkeypatch.setattr(descriptors, "resource", limits)
    assert raise_limit(8400) == told
    assert limits.now == (soft_after, hard)
    assert current_limit() >= told
