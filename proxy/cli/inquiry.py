"""One question to the admin port that a command names itself (`--admin`), or that the configuration it is given names.

Owns where that port is, its key, and what is said where it does not tell what was asked for.
"""

import argparse
import sys
from typing import Any, NamedTuple

from proxy.cli.admin_key import admin_key
from proxy.cli.asking import SilentError, ask, why_not
from proxy.cli.check import load_file, show


class Inquiry(NamedTuple):
    """Where to ask, in the name of which command."""

    command: str
    url: str
    headers: dict[str, str]

    def told(self, target: str, name: str, kind: type) -> dict[str, Any] | None:
        """The document at `target`, whose field `name` is of this kind; None: it was said why there is none."""
        try:
            answer = ask(self.url, target, headers=self.headers)
        except SilentError as silent:
            return self._refused(f"no proxy answers at {self.url}: {silent}")
        told = answer.told
        if not answer.ok:
            return self._refused(f"{self.url}: {why_not(answer.status, told)}")
        if not isinstance(told.get(name), kind):
            return self._refused(f"it is no Tidegate that answers at {self.url}")
        return told

    def _refused(self, why: str) -> None:
        print(f"tidegate {self.command}: {why}", file=sys.stderr)


def inquiry(arguments: argparse.Namespace, file: str) -> Inquiry | None:
    """`file`: the configuration that says where to ask, unless `--admin` does. None: it is wrong, which was said."""
    if arguments.admin is not None:
        return Inquiry(arguments.command, arguments.admin, admin_key(None))
    loaded = load_file(file, elsewhere=True)
    if loaded.config is None:
        show(loaded.diagnostics, sys.stderr)
        return None
    return Inquiry(arguments.command, f"http://{loaded.config.admin}", admin_key(loaded.config))
