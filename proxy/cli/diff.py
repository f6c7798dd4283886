"""`tidegate diff`: what another configuration file changes in meaning."""

import argparse
import json
import sys
from dataclasses import asdict

from proxy.cli.check import load_file, show
from proxy.config.changes import changes

SAME, DIFFERENT, WRONG = 0, 1, 2


def run(arguments: argparse.Namespace) -> int:
    """0 when they mean the same, 1 when they do not, 2 when one of them is wrong."""
    loaded = [load_file(file, elsewhere=arguments.no_env) for file in (arguments.old, arguments.new)]
    old, new = (one.config for one in loaded)
    if old is None or new is None:
        for one in loaded:
            if one.config is None:
                show(one.diagnostics, sys.stderr)
        return WRONG
    found = changes(old, new)
    if arguments.json:
        print(json.dumps([asdict(change) for change in found], indent=2))
    else:
        for change in found:
            print(f"{change.sign} {change.said()}")
    return DIFFERENT if found else SAME
