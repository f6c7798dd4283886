"""The fixtures of the packages that talk over sockets; each package's conftest imports them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.support.bed import Bed, backend_entry
from tests.support.fake_backend import FakeBackend
from tests.support.proxy_process import Config, ProxyProcess, assert_clean

StartProxy = Callable[..., ProxyProcess]
StartBackend = Callable[..., FakeBackend]


@pytest.fixture(autouse=True)
def leak_probe(bed: Bed) -> Iterator[None]:
    """After every test each running proxy holds no more than before, and has written no traceback."""
    bed.forget()
    yield
    bed.assert_settled()
    for probe in bed.probes:
        assert_clean(probe.proxy)


@pytest.fixture
def start_backend(bed: Bed) -> Iterator[StartBackend]:
    """Starts engines that end with the test."""
    with ExitStack() as stack:
        yield lambda *args, **kwargs: stack.enter_context(bed.backend(*args, **kwargs))


@pytest.fixture
def start_proxy(bed: Bed, start_backend: StartBackend) -> Iterator[StartProxy]:
    """Starts proxies that end with the test (before their engines): `start_proxy(config, …)`."""
    with ExitStack() as stack:

        def start(config: Config, *arguments: str, **more: Any) -> ProxyProcess:
            return stack.enter_context(bed.proxy(config, *arguments, **more))

        yield start
        bed.assert_settled()


@pytest.fixture
def start_pair(start_backend: StartBackend, start_proxy: StartProxy) -> Callable[..., tuple[FakeBackend, ProxyProcess]]:
    """One engine `alpha` and a proxy of its own in front: `start_pair(config=…, entry=…, …)`."""

    def start(
        config: Config | None = None, entry: Config | None = None, **backend: Any
    ) -> tuple[FakeBackend, ProxyProcess]:
        engine = start_backend(**backend)
        backends = [backend_entry(engine, "alpha", **(entry or {}))]
        return engine, start_proxy({"backends": backends, **(config or {})}, models=len(engine.models))

    return start
