"""A proxy's configuration from the start to the end: reloads, trials, the watch over its files.

Owns how these are put together, and what runs for them in the background.
"""

import asyncio

from proxy.app.config_file import ConfigFile
from proxy.app.file_watch import FileWatch
from proxy.app.membership import Membership
from proxy.app.proxy import Proxy
from proxy.app.reload_routes import ReloadRoutes
from proxy.app.reloader import Reloader
from proxy.app.tasks import watched
from proxy.app.trial import Trials
from proxy.config.loader import Loaded
from proxy.obs.config_metrics import ConfigState


class ConfigLife:
    """One per process."""

    def __init__(
        self, proxy: Proxy, file: ConfigFile | None, first: Loaded, state: ConfigState, members: Membership
    ) -> None:
        self._file = file
        self.reloader = Reloader(file, proxy.configured, proxy.meet, first, state, members)
        state.names = members.view
        self._trials = Trials(self.reloader, proxy.tally)
        self._watch: FileWatch | None = None
        self._watching: asyncio.Task[None] | None = None
        self._marking: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        proxy.add_admin_routes(ReloadRoutes(self.reloader, self._trials, state).routes())
        self.reloader.on_reloaded.append(self._watch_files)

    def begin(self) -> None:
        """Watch; what is asked for is done once the proxy has `started`."""
        self._marking = watched(self._trials.run())
        self._following = watched(self.reloader.follow_names())
        self._watch_files()

    def started(self) -> None:
        """From now on configurations can be put in place."""
        self.reloader.started.set()

    async def close(self) -> None:
        """The end has begun."""
        await self._trials.close()
        tasks = [task for task in (self._watching, self._marking, self._following) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.reloader.close()

    def _watch_files(self) -> None:
        """Those that decide now; after a file that is wrong those of before, too."""
        file, settings = self._file, self.reloader.now.candidate.config.reload
        if file is None:
            return
        if not settings.watch:
            if self._watching is not None:
                self._watching.cancel()
            self._watch = self._watching = None
            return
        files = file.files(self.reloader.loaded)
        if self.reloader.loaded.config is None and self._watch is not None:
            files |= set(self._watch.files)
        if self._watch is not None and self._watch.configure(files, settings.settle):
            return
        known = {} if self._watch is None else self._watch.known
        self._watch = FileWatch(files, settings.settle, lambda: self.reloader.ask_soon("file"), known)
        if self._watching is not None:
            self._watching.cancel()
        self._watching = watched(self._watch.run())
