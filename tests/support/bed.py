"""The test bed of one session: fake engines, proxies in front of them, and the leak probes over both.

Owns who is alive; the fixtures in `tests/support/fixtures.py` give it to tests.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.engine_scripts import SCRIPTS
from tests.support.fake_backend import FakeBackend, Script
from tests.support.fake_engine import well_behaved
from tests.support.leak_probe import LeakProbe
from tests.support.loop_thread import LoopThread
from tests.support.nursery import Nursery
from tests.support.proxy_process import Config, ProxyProcess, ready, running_proxy


class Bed:
    """Makes engines and proxies, and knows the running ones."""

    def __init__(self) -> None:
        self.loop = LoopThread()
        self.nursery = Nursery()
        self.backends: list[FakeBackend] = []
        self.probes: list[LeakProbe] = []

    def stop(self) -> None:
        """Ends what the bed itself runs."""
        self.nursery.stop()
        self.loop.stop()

    @contextmanager
    def backend(
        self,
        default: Script = well_behaved,
        *,
        models: tuple[str, ...] = ("fake-model",),
        tls: ssl.SSLContext | None = None,
        idle_close_s: float | None = None,
        port: int = 0,
        path: str = "",
    ) -> Iterator[FakeBackend]:
        """An engine for the length of a block; with `path` on a Unix socket."""
        backend = FakeBackend(
            self.loop, default, SCRIPTS, models=models, tls=tls, idle_close_s=idle_close_s, port=port, path=path
        )
        self.backends.append(backend)
        try:
            yield backend
        finally:
            self.backends.remove(backend)
            backend.stop()
        assert not backend.script_errors, backend.script_errors

    @contextmanager
    def proxy(
        self,
        config: Config,
        *arguments: str,
        models: int = 1,
        env: dict[str, str] | None = None,
        by_hand: bool = False,
    ) -> Iterator[ProxyProcess]:
        """A proxy that lists `models` models, for the length of a block. `by_hand`: not forked from the nursery."""
        nursery = None if by_hand else self.nursery
        with running_proxy(config, *arguments, env=env, nursery=nursery) as proxy:
            ready(proxy, models)
            probe = LeakProbe(proxy, self.backends)
            self.probes.append(probe)
            try:
                yield proxy
            finally:
                self.probes.remove(probe)

    def assert_settled(self) -> None:
        """The leak probe over every running proxy."""
        for probe in self.probes:
            probe.assert_settled()

    def forget(self) -> None:
        """Every engine forgets what it received."""
        for backend in self.backends:
            backend.forget()


def backend_entry(backend: FakeBackend, name: str, **more: Any) -> Config:
    """The configuration entry of an engine."""
    return {"name": name, "url": backend.url, **more}
