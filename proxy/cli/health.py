"""`tidegate health`: whether a running proxy is ready, for a container's health check.

Uses the standard library alone, follows no redirect and reads no proxy variable.
"""

import argparse
import http.client
import sys
from urllib.parse import urlsplit

TIMEOUT_S = 2.0


def run(arguments: argparse.Namespace) -> int:
    """0 when the URL answers 200, else 1 with the reason."""
    try:
        status = _status(arguments.url)
    except (OSError, http.client.HTTPException) as error:
        print(f"not ready: {_reason(error)}", file=sys.stderr)
        return 1
    if status != http.client.OK:
        print(f"not ready: it answered {status}", file=sys.stderr)
        return 1
    return 0


def _status(url: str) -> int:
    parts = urlsplit(url)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        target = parts.path or "/"
        connection.request("GET", f"{target}?{parts.query}" if parts.query else target)
        return connection.getresponse().status
    finally:
        connection.close()


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT_S:g} s"
    if isinstance(error, OSError):
        return (error.strerror or "cannot be reached").lower()
    return "its answer is not HTTP"
