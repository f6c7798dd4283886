"""`tidegate explain`: asks a running proxy what it would do with a request, and why.

Uses the standard library for the question; follows no redirect and reads no proxy variable.
"""

import argparse
import http.client
import json
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

from proxy.cli.check import load_file, show

TIMEOUT_S = 5.0


def run(arguments: argparse.Namespace) -> int:
    """0 when there is an explanation, else 1 with the reason."""
    if arguments.file == arguments.request == "-":
        print("tidegate explain: only one of the two files can be standard input", file=sys.stderr)
        return 2
    loaded = load_file(arguments.file, elsewhere=True)
    if loaded.config is None:
        show(loaded.diagnostics, sys.stderr)
        return 1
    try:
        body = sys.stdin.buffer.read() if arguments.request == "-" else Path(arguments.request).read_bytes()
    except OSError as error:
        print(f"tidegate explain: {arguments.request}: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        return 1
    url = arguments.admin or f"http://{loaded.config.admin}"
    try:
        status, answer = _asked(url, arguments.path, dict(arguments.header), body)
    except (OSError, http.client.HTTPException) as error:
        print(f"tidegate explain: no proxy answers at {url}: {_reason(error)}", file=sys.stderr)
        return 1
    return _told(status, answer, arguments)


def _asked(url: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        named = {"Content-Type": "application/json", **headers}
        connection.request("POST", f"/explain?path={quote(path)}", body, named)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _told(status: int, answer: bytes, arguments: argparse.Namespace) -> int:
    try:
        told = json.loads(answer)
    except ValueError:
        told = None
    if status == http.client.OK and isinstance(told, dict):
        if arguments.json:
            print(json.dumps(told, indent=2))
        else:
            from proxy.app.explain import as_text

            sys.stdout.write(as_text(told, arguments.file))
        return 0
    error = told.get("error") if isinstance(told, dict) else None
    text = error.get("message") if isinstance(error, dict) else error
    print(f"tidegate explain: the request would be answered {status}: {text or 'no reason given'}", file=sys.stderr)
    return 1


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing within {TIMEOUT_S:g} s"
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else "its answer is not HTTP"
