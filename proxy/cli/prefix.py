"""`tidegate prefix report`: asks a running proxy which prompts change at their front, and what that costs."""

import argparse
import json

from proxy.cli.inquiry import inquiry

_NOTHING = "no prompt was seen to change at its front ({} requests, {} looked at)"


def run(arguments: argparse.Namespace) -> int:
    """0 when there is a report, else 1 with the reason."""
    asked = inquiry(arguments, arguments.file)
    told = None if asked is None else asked.told("/prefix", "silent", list)
    if told is None:
        return 1
    print(json.dumps(told, indent=2) if arguments.json else _text(told))
    return 0


def _text(told: dict[str, object]) -> str:
    findings, silent = told.get("findings"), told.get("silent")
    lines = [str(one["says"]) for one in findings] if isinstance(findings, list) else []
    lines = lines or [_NOTHING.format(told.get("requests", 0), told.get("looked_at", 0))]
    return "\n".join([*lines, *map(str, silent if isinstance(silent, list) else [])])
