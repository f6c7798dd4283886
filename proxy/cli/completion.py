"""`tidegate completion`: the script with which a shell completes commands, options and files."""

import argparse
from collections.abc import Iterator

import shtab

from proxy.cli.parser import build_parser

_FILES = frozenset({"FILE", "REQUEST", "NAME|FILE", "LINE|FILE"})
_FOLDERS = frozenset({"DIR"})


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    parser = build_parser(None, whole=True)
    for action in _actions(parser):
        if action.metavar in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar in _FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    print(shtab.complete(parser, arguments.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _actions(below)
