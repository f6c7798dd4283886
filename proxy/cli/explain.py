"""`tidegate explain`: asks a running proxy what it would do with a request, and why."""

import argparse
import json
import sys
from pathlib import Path
from urllib.parse import quote

from proxy.cli.admin_key import admin_key
from proxy.cli.asking import Answer, SilentError, ask, reason
from proxy.cli.check import load_file, show
from proxy.report.screen.words import lines


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
    headers = {"Content-Type": "application/json", **dict(arguments.header), **admin_key(loaded.config)}
    target = f"/explain?path={quote(arguments.path)}" + (
        f"&tenant={quote(arguments.tenant)}" if arguments.tenant else ""
    )
    try:
        answer = ask(url, target, method="POST", body=body, headers=headers)
    except SilentError as silent:
        print(f"tidegate explain: no proxy answers at {url}: {silent}", file=sys.stderr)
        return 1
    return _told(answer, arguments)


def _told(answer: Answer, arguments: argparse.Namespace) -> int:
    told = answer.told
    if answer.ok and told:
        if arguments.json:
            print(json.dumps(told, indent=2))
        else:
            from proxy.app.explain import as_text
            from proxy.report.tables import width_of

            sys.stdout.write(lines(as_text(told, arguments.file, width_of(sys.stdout))))
        return 0
    why = f"the request would be answered {answer.status}: {reason(answer.status, told) or 'no reason given'}"
    print(f"tidegate explain: {why}", file=sys.stderr)
    return 1
