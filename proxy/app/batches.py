"""Files and batches of one proxy: the store opened, what answers for it, and what runs the lines.

Owns whether there are any, and the order of their start and end.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from proxy.app.listeners import StartError
from proxy.app.steady_clock import SteadyClock
from proxy.app.tasks import watched
from proxy.config.schema import Config
from proxy.live.batches.api import BatchApi, Elsewhere, is_upload
from proxy.live.batches.database import StoreError
from proxy.live.batches.store import Store, StoreThread
from proxy.live.downstream.connection import Edge
from proxy.live.exchange import Exchanges
from proxy.live.lines.feeder import Feeder
from proxy.live.lines.keeper import Keeper
from proxy.live.serving import StoreApi
from proxy.model.batch import Batch, BatchesView
from proxy.wire.headers import Head


class KeptBatches:
    """One per proxy. StartError where the store cannot be used."""

    def __init__(self, config: Config, loop: asyncio.AbstractEventLoop) -> None:
        settings = config.store
        self._config = config
        self._clock = SteadyClock(time.time, monotonic)
        self._thread: StoreThread | None = None
        self._keeper: Keeper | None = None
        self._feeder: Feeder | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.api: StoreApi | None = None
        """What answers for files and batches; None: they are no business of this proxy."""
        if settings.url is not None:
            self.api = Elsewhere(settings.url)
        elif settings.path is not None:
            try:
                self._thread = StoreThread(Store(settings, Path(settings.path)), loop)
            except StoreError as error:
                raise StartError(str(error)) from error
            self.api = BatchApi(self._thread, self._clock.now, self._stall_s, self._eta_s, self._changed)

    @property
    def uploads(self) -> Callable[[Head], bool] | None:
        """Whose bodies are taken piece by piece; None: nobody's."""
        return None if self.api is None else is_upload

    def connect(self, edge: Edge, exchanges: Exchanges, loop: asyncio.AbstractEventLoop) -> None:
        """What lines pass."""
        if self._thread is None:
            return
        self._feeder = Feeder(
            self._thread, edge, lambda: exchanges.serving, exchanges.running, loop, monotonic, self._weight
        )
        self._keeper = Keeper(self._thread, self._feeder, self._clock.now, monotonic, self._clock.look)

    def configure(self, config: Config) -> None:
        """Another configuration, but for the store itself, which waits for a restart."""
        self._config = config

    async def start(self) -> None:
        """Whatever had not ended goes on."""
        if self._keeper is None or self._feeder is None:
            return
        await self._keeper.begin()
        self._tasks = [watched(self._feeder.run()), watched(self._keeper.run())]

    def rest(self) -> None:
        """No line begins any more."""
        if self._feeder is not None:
            self._feeder.rest()

    async def stop(self) -> None:
        """What is out is cut, what is done is written."""
        if self._keeper is None or self._feeder is None:
            return
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._feeder.stop()
        await self._keeper.stop()

    async def close(self) -> None:
        """Give the folder to others; nobody asks any more."""
        if self._thread is not None:
            await asyncio.to_thread(self._thread.close)

    def view(self) -> BatchesView | None:
        """All that there is; None: there is no store."""
        return None if self._keeper is None else self._keeper.view()

    def _changed(self, batch: Batch) -> None:
        if self._keeper is not None:
            self._keeper.changed(batch)

    def _eta_s(self, number: int) -> float | None:
        return None if self._keeper is None else self._keeper.eta_s(number)

    def _stall_s(self) -> float:
        return self._config.limits.body.stall

    def _weight(self, tenant: str) -> float:
        return self._config.scheduling().fairness.weights.get(tenant, 1.0)
