"""`tidegate health`: whether a running proxy is ready, for a container's health check."""

import argparse
import json
import sys

from proxy.cli.asking import SilentError, ask

TIMEOUT_S = 2.0


def run(arguments: argparse.Namespace) -> int:
    """0 when the URL answers 200, else 1 with the reason."""
    try:
        answer = ask(arguments.url, timeout_s=TIMEOUT_S)
        why = "" if answer.ok else f"it answered {answer.status}"
    except SilentError as silent:
        why = str(silent)
    if arguments.json:
        print(json.dumps({"url": arguments.url, "ready": not why, "reason": why or None}))
    elif why:
        print(f"not ready: {why}", file=sys.stderr)
    return 1 if why else 0
