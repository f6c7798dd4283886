"""`tidegate prefix report`: asks a running proxy which prompts change at their front, and what that costs."""

import argparse
import json
import sys

from proxy.cli.admin_key import admin_key
from proxy.cli.asking import SilentError, ask
from proxy.cli.check import load_file, show

_NOTHING = "no prompt was seen to change at its front ({} requests, {} looked at)"


def run(arguments: argparse.Namespace) -> int:
    """0 when there is a report, else 1 with the reason."""
    url, headers = arguments.admin, admin_key(None)
    if url is None:
        loaded = load_file(arguments.file, elsewhere=True)
        if loaded.config is None:
            show(loaded.diagnostics, sys.stderr)
            return 1
        url, headers = f"http://{loaded.config.admin}", admin_key(loaded.config)
    try:
        answer = ask(url, "/prefix", headers=headers)
        why = "" if answer.ok and answer.told else "its answer is not a report"
    except SilentError as silent:
        why = str(silent)
    if why:
        print(f"tidegate prefix: no proxy answers at {url}: {why}", file=sys.stderr)
        return 1
    print(json.dumps(answer.told, indent=2) if arguments.json else _text(answer.told))
    return 0


def _text(told: dict[str, object]) -> str:
    findings, silent = told.get("findings"), told.get("silent")
    lines = [str(one["says"]) for one in findings] if isinstance(findings, list) else []
    lines = lines or [_NOTHING.format(told.get("requests", 0), told.get("looked_at", 0))]
    return "\n".join([*lines, *map(str, silent if isinstance(silent, list) else [])])
