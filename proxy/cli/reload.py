"""`tidegate reload`: a running proxy reads its file anew, on trial if that is wanted; a trial's end."""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from proxy.cli.asking import Answer, SilentError, ask, reason, why_not

TIMEOUT_S = 90.0


def run(arguments: argparse.Namespace) -> int:
    """0 when it was done; 1 with the reasons when it was not; 2 for words that exclude each other."""
    if sum(map(bool, (arguments.confirm, arguments.confirmed, arguments.rollback))) > 1:
        print("tidegate reload: one of --confirm, --confirmed and --rollback", file=sys.stderr)
        return 2
    try:
        answer = ask(arguments.admin, _target(arguments), method="POST", timeout_s=TIMEOUT_S)
    except SilentError as silent:
        return _refused([f"no proxy answers at {arguments.admin}: {silent}"])
    told = answer.told
    if answer.ok and "hash" not in told:
        return _refused([f"it is no Tidegate that answers at {arguments.admin}"])
    if arguments.json and told:
        print(json.dumps(told, indent=2))
    elif answer.ok:
        print("\n".join(_said(told, arguments)))
    return 0 if answer.ok else _refused(_why_not(answer))


def _target(arguments: argparse.Namespace) -> str:
    if arguments.confirmed:
        return "/reload/confirm"
    if arguments.rollback:
        return "/reload/rollback"
    return f"/reload?confirm={quote(arguments.confirm, safe='')}" if arguments.confirm else "/reload"


def _said(told: dict[str, Any], arguments: argparse.Namespace) -> Iterator[str]:
    if arguments.confirmed:
        yield f"confirmed: {told['hash']} stays"
        return
    if arguments.rollback:
        yield f"rolled back: {told['hash']} is in place again; the file is as it was"
        return
    yield from told["changes"]
    yield from (f"restart needed: {line}" for line in told["restart_needed"])
    yield f"reloaded: {told['hash']}" + ("" if told["changes"] else ", nothing changed")
    if not arguments.confirm:
        return
    trial = told.get("trial")
    if trial is None:
        yield "nothing to go back to, and so no trial: nothing has changed since the start"
    else:
        until = time.strftime("%H:%M:%S", time.localtime(trial["until"]))
        yield f"on trial until {until}, then {trial['back_to']} again; keep it: tidegate reload --confirmed"


def _why_not(answer: Answer) -> list[str]:
    told = answer.told
    if answer.status == HTTPStatus.NOT_FOUND and not told:
        return ["it answered 404: nothing can be reloaded there; is it a demo, or no Tidegate?"]
    errors = told.get("errors") or [reason(answer.status, told) or why_not(answer.status, told)]
    return [*map(str, errors), *(["nothing was changed"] if "errors" in told else [])]


def _refused(lines: list[str]) -> int:
    for line in lines:
        print(f"tidegate reload: {line}", file=sys.stderr)
    return 1
