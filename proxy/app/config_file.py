"""The file that a proxy is configured by, and what the command line says otherwise.

Owns reading it, again and again, in the same way; and which files it depends on.
"""

import stat
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from proxy.config.diagnostics import Diagnostic, Severity
from proxy.config.loader import Loaded, load
from proxy.config.overrides import with_overrides
from proxy.config.prompt_files import files_of
from proxy.config.schema import Config


class ConfigFile:
    """One per process. `overrides`: options of `with_overrides`, which go before the file's."""

    def __init__(
        self,
        path: Path,
        env: Mapping[str, str],
        overrides: Mapping[str, Any],
        share: Callable[[Config], Config] = lambda config: config,
    ) -> None:
        """`share`: what this process has of it."""
        self.path = path
        self._share = share
        self._env = env
        self._overrides = dict(overrides)

    def read(self) -> Loaded:
        """What it says now, or everything that is wrong with it. Blocks; never raises for a bad file."""
        if self._is_odd():
            return self._wrong("is not a file")
        loaded = load(self.path, self._env)
        if loaded.config is None:
            return loaded
        try:
            config = with_overrides(loaded.config, **self._overrides)
        except ValueError as misfit:
            return self._wrong(f"does not fit to the command line: {misfit}", loaded)
        return replace(loaded, config=self._share(config))

    def files(self, loaded: Loaded) -> set[Path]:
        """All files that decide what it says."""
        found = {self.path, *loaded.secret_files, *loaded.included}
        return found if loaded.config is None else found | named_files(loaded.config)

    def _is_odd(self) -> bool:
        """A pipe or a device, which may never end; at the start somebody waits for it, later nobody does."""
        try:
            mode = self.path.stat().st_mode
        except (OSError, ValueError):
            return False  # the loader has words for it
        return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)

    def _wrong(self, message: str, loaded: Loaded | None = None) -> Loaded:
        wrong = Diagnostic(Severity.ERROR, str(self.path), 1, 1, "", message)
        return Loaded(None, [wrong]) if loaded is None else replace(loaded, config=None, diagnostics=[wrong])


def named_files(config: Config) -> set[Path]:
    """Files whose contents are a part of the configuration."""
    authorities = [backend.tls.ca_file for backend in config.backends if backend.tls.ca_file is not None]
    found = {Path(name) for name in (*authorities, *config.tokenizers.values())}
    found |= {Path(name) for name in (config.tls.cert, config.tls.key) if name is not None}
    for prompt in config.prompts:
        for version in prompt.versions:
            found |= files_of(version)
    return found
