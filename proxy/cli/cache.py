"""`tidegate cache`: what a running proxy keeps of answers, and making it void.

Uses the standard library alone, follows no redirect and reads no proxy variable.
"""

import argparse
import http.client
import json
import sys
from typing import Any
from urllib.parse import quote, urlsplit

TIMEOUT_S = 5.0


def run(arguments: argparse.Namespace) -> int:
    """0 when it was done, 1 with the reason when it was not."""
    if arguments.action == "stats" and (arguments.model or arguments.prompt):
        return _refused("stats are of everything: leave --model and --prompt out", 2)
    if arguments.model and arguments.prompt:
        return _refused("either --model or --prompt, not both", 2)
    try:
        status, told = _asked(arguments)
    except (OSError, http.client.HTTPException) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        return _refused(f"no proxy answers at {arguments.admin}: {reason or 'its answer is not HTTP'}")
    if status != http.client.OK:
        return _refused(str(told.get("error", f"it answered {status}")))
    if arguments.json:
        print(json.dumps(told, indent=2))
    elif arguments.action == "stats":
        print(_stats(told))
    else:
        print(f"void: {_what(arguments)} (bumped {told['epoch']} times)")
    return 0


def _asked(arguments: argparse.Namespace) -> tuple[int, dict[str, Any]]:
    parts = urlsplit(arguments.admin)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    names = {"model": arguments.model, "prompt": arguments.prompt}
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in names.items() if value)
    try:
        connection.request("GET" if arguments.action == "stats" else "POST", f"/cache/{arguments.action}?{query}")
        answer = connection.getresponse()
        return answer.status, _object(answer.read())
    finally:
        connection.close()


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


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
