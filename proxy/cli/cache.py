"""`tidegate cache`: what a running proxy keeps of answers, and making it void."""

import argparse
import json
import sys
from typing import Any
from urllib.parse import quote

from proxy.cli.asking import Answer, SilentError, ask, reason, why_not


def run(arguments: argparse.Namespace) -> int:
    """0 when it was done, 1 with the reason when it was not."""
    if arguments.action == "stats" and (arguments.model or arguments.prompt):
        return _refused("stats are of everything: leave --model and --prompt out", 2)
    if arguments.model and arguments.prompt:
        return _refused("either --model or --prompt, not both", 2)
    try:
        answer = _asked(arguments)
    except SilentError as silent:
        return _refused(f"no proxy answers at {arguments.admin}: {silent}")
    told = answer.told
    if not answer.ok:
        return _refused(reason(answer.status, told) or why_not(answer.status, told))
    if arguments.json:
        print(json.dumps(told, indent=2))
    elif arguments.action == "stats":
        print(_stats(told))
    else:
        print(f"void: {_what(arguments)} (bumped {told['epoch']} times)")
    return 0


def _asked(arguments: argparse.Namespace) -> Answer:
    names = {"model": arguments.model, "prompt": arguments.prompt}
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in names.items() if value)
    method = "GET" if arguments.action == "stats" else "POST"
    return ask(arguments.admin, f"/cache/{arguments.action}?{query}", method=method)


def _stats(told: dict[str, Any]) -> str:
    from proxy.model.units import readable_size

    lines = [
        f"{told['entries']} answers of {told['scopes']} tenants, {readable_size(told['used_b'])}"
        f" of {readable_size(told['size_b'])}",
        f"since the start: {told['stored']} kept, {told['evicted']} had to make room, {told['expired']} found too old,"
        f" {told['too_large']} too large; made void {told['bumps']} times",
    ]
    if told["remote"]:
        events = (f"{event} {count}" for event, count in sorted(told["remote"].items()))
        lines.append("second level: " + ", ".join(events))
    return "\n".join(lines)


def _what(arguments: argparse.Namespace) -> str:
    if arguments.model:
        return f"answers of the model {arguments.model}"
    return f"answers to the prompt {arguments.prompt}" if arguments.prompt else "all answers"


def _refused(why: str, code: int = 1) -> int:
    print(f"tidegate cache: {why}", file=sys.stderr)
    return code
