"""The cache of answers while configurations come and go: what is kept stays as long as any cache is wanted.

Owns the one that is in use, its second level, which is there without it too, and the task that shares its epochs with
other proxies.
"""

import asyncio

from proxy.app import parts
from proxy.app.configured import Commit
from proxy.app.tasks import watched
from proxy.config.schema import Config
from proxy.core.cache.versions import Versions
from proxy.live.cache.remote import RemoteCache
from proxy.live.cache.response_cache import ResponseCache
from proxy.live.shared_owners import SharedOwners
from proxy.live.tokenizers import Tokenizers
from proxy.model.cache import CacheView


class KeptAnswers:
    """One per proxy. StartError where the second level cannot be had."""

    def __init__(self, config: Config, tokenizers: Tokenizers, loop: asyncio.AbstractEventLoop) -> None:
        self._config = config
        self._tokenizers = tokenizers
        self._loop = loop
        self.now = parts.response_cache(config, tokenizers, loop)
        """None: no answer is kept."""
        self._alone = parts.second_level(config, Versions()) if self.now is None else None
        """The second level where no answer is kept: for who has what engines keep."""
        self._is_started = False
        self._shares: asyncio.Task[None] | None = None
        self._ends: set[asyncio.Task[None]] = set()
        """Second levels that are being closed."""

    @property
    def versions(self) -> Versions | None:
        """Of what is kept."""
        return None if self.now is None else self.now.versions

    @property
    def owners(self) -> SharedOwners | None:
        """Who has what engines keep, as other proxies know it; None: there is no second level."""
        remote = self._remote
        return None if remote is None else remote.owners

    def view(self) -> CacheView | None:
        """For metrics."""
        return None if self.now is None else self.now.view()

    def start(self) -> None:
        """Begin to share epochs, where there is somebody to share them with."""
        self._is_started = True
        self._share(None)

    def prepare(self, config: Config) -> tuple[ResponseCache | None, Commit]:
        """What requests use from then on, and what puts it in place. StartError as above."""
        now = self.now
        if now is None or not config.cache.size:
            made = parts.response_cache(config, self._tokenizers, self._loop)
            alone = self._alone
            if made is not None:
                alone = None
            elif now is not None or self._is_elsewhere(config):
                alone = parts.second_level(config, Versions())
            return made, lambda: self._replace(made, alone, config)
        remote = parts.second_level(config, now.versions) if self._is_elsewhere(config) else now.remote
        return now, lambda: self._configure(now, remote, config)

    def drain(self) -> None:
        """Nobody waits for other proxies any more."""
        if self.now is not None and self.now.remote is not None:
            self.now.remote.is_draining = True

    async def close(self) -> None:
        """The second level, and what is on its way there."""
        if self._shares is not None:
            self._shares.cancel()
        if self._remote is not None:
            await self._remote.close()
        await asyncio.gather(*self._ends)

    def _is_elsewhere(self, config: Config) -> bool:
        before, now = self._config.cache, config.cache
        return (before.remote, before.remote_password, before.entry) != (now.remote, now.remote_password, now.entry)

    @property
    def _remote(self) -> RemoteCache | None:
        return self._alone if self.now is None else self.now.remote

    def _replace(self, made: ResponseCache | None, alone: RemoteCache | None, config: Config) -> None:
        before = self._remote
        self.now, self._alone, self._config = made, alone, config
        if self._remote is not before:
            self._share(before)

    def _configure(self, now: ResponseCache, remote: RemoteCache | None, config: Config) -> None:
        before, self._config = now.remote, config
        now.versions.configure(parts.epoch(config), parts.revisions(config))
        now.configure(config.cache, config.limits.upstream.event, remote)
        if remote is not before:
            self._share(before)

    def _share(self, before: RemoteCache | None) -> None:
        if self._shares is not None:
            self._shares.cancel()
            self._shares = None
        if before is not None:
            end = watched(before.close())
            self._ends.add(end)
            end.add_done_callback(self._ends.discard)
        if self._is_started and self.now is not None and self.now.remote is not None:
            self._shares = watched(self.now.remote.run())
