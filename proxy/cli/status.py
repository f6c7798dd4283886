"""`tidegate status`: what a running proxy is and does at this moment, once."""

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

from proxy.cli.asking import SilentError, ask, why_not

SCHEMA = 1
"""Of the documents that can be shown here."""


def run(arguments: argparse.Namespace) -> int:
    """0 when the proxy is ready, 1 when it is not, or nobody answers."""
    try:
        answer = ask(arguments.admin, "/status")
    except SilentError as silent:
        return _refused(f"no proxy answers at {arguments.admin}: {silent}")
    told = answer.told
    why = why_not(answer.status, told) if not answer.ok else unlike(told, arguments.admin, as_it_is=arguments.json)
    if why:
        return _refused(why)
    if arguments.json:
        print(json.dumps(told, indent=2))
    else:
        _show(told)
    return 0 if told.get("not_ready") is None else 1


def unlike(told: Mapping[str, Any], url: str, *, as_it_is: bool = False) -> str:
    """Why what was told cannot be shown; empty: it can. `as_it_is`: nobody has to understand it."""
    schema = told.get("schema")
    if type(schema) is not int or not isinstance(told.get("classes"), dict) or not told.get("instance"):
        return f"it is no Tidegate that answers at {url}"
    if schema > SCHEMA and not as_it_is:
        return f"the proxy at {url} is newer than this program: use the `tidegate` that it came with"
    return ""


def _show(told: dict[str, Any]) -> None:
    from proxy.cli.painting import whole
    from proxy.report.screen.frame import page
    from proxy.report.screen.head import Link
    from proxy.report.screen.watched import Watched
    from proxy.report.tables import width_of

    watched = Watched()
    watched.take("status", told)
    width = width_of(sys.stdout)
    sys.stdout.write(whole(page(watched, Link(), width, charts=False), sys.stdout))


def _refused(why: str) -> int:
    print(f"tidegate status: {why}", file=sys.stderr)
    return 1
