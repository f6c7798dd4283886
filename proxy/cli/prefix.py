"""`tidegate prefix report`: asks a running proxy which prompts change at their front, and what that costs.

Uses the standard library for the question; follows no redirect and reads no proxy variable.
"""

import argparse
import http.client
import json
import sys
from urllib.parse import urlsplit

from proxy.cli.check import load_file, show

TIMEOUT_S = 5.0
_NOTHING = "no prompt was seen to change at its front ({} requests, {} looked at)"


def run(arguments: argparse.Namespace) -> int:
    """0 when there is a report, else 1 with the reason."""
    url = arguments.admin
    if url is None:
        loaded = load_file(arguments.file, elsewhere=True)
        if loaded.config is None:
            show(loaded.diagnostics, sys.stderr)
            return 1
        url = f"http://{loaded.config.admin}"
    try:
        told = _asked(url)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else "its answer is not a report"
        print(f"tidegate prefix: no proxy answers at {url}: {reason}", file=sys.stderr)
        return 1
    print(json.dumps(told, indent=2) if arguments.json else _text(told))
    return 0


def _asked(url: str) -> dict[str, object]:
    """ValueError for what is no report."""
    parts = urlsplit(url)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/prefix")
        answer = connection.getresponse()
        told = json.loads(answer.read())
    finally:
        connection.close()
    if answer.status != http.client.OK or not isinstance(told, dict):
        raise ValueError
    return told


def _text(told: dict[str, object]) -> str:
    findings, silent = told.get("findings"), told.get("silent")
    lines = [str(one["says"]) for one in findings] if isinstance(findings, list) else []
    lines = lines or [_NOTHING.format(told.get("requests", 0), told.get("looked_at", 0))]
    return "\n".join([*lines, *map(str, silent if isinstance(silent, list) else [])])
