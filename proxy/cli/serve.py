"""`tidegate serve`: a right configuration, the overrides of the command line, then the proxy."""

import argparse
import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from proxy.cli.check import load_file, show
from proxy.config.diagnostics import Diagnostic, render
from proxy.config.loader import Loaded
from proxy.config.named import COMMAND_LINE, load_urls
from proxy.config.overrides import with_overrides
from proxy.config.refusal import quoted
from proxy.config.source import STDIN
from proxy.live.background import address_space

HOW = """\
tidegate serve: name your engines, or a file that does

  tidegate serve http://127.0.0.1:8001

or write these three lines into routing.yaml, then `tidegate serve routing.yaml`:

  version: 1
  backends:
    - url: http://127.0.0.1:8001

`tidegate init` writes them, with comments, for the engines it finds on this machine."""
_URL = re.compile(r"https?:|unix:|[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_ADDRESS = re.compile(r"(\[[0-9a-f:]+\]|[\w.-]+):\d+(/.*)?", re.IGNORECASE | re.ASCII)


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop; 1 when the file is wrong, 2 when what the command line says is."""
    targets: list[str] = arguments.targets
    if not targets:
        print(HOW, file=sys.stderr)
        return 2
    if mistake := _mistake(targets):
        print(f"tidegate serve: {mistake}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a reload asked for too early is no reason to die
    if (why := address_space.why_not()) is not None:
        _tell(why, arguments.log_format)
        return 1
    urls = _is_url(targets[0])
    source = COMMAND_LINE if urls else targets[0]
    loaded = load_urls(targets, os.environ, _addresses(arguments)) if urls else load_file(targets[0])
    if loaded.config is None:
        _tell_wrong(loaded.diagnostics, source, arguments)
        return 2 if urls else 1
    return _served(loaded, source, arguments)


def _served(loaded: Loaded, source: str, arguments: argparse.Namespace) -> int:
    assert loaded.config is not None
    overrides = {
        "listen": arguments.listen,
        "admin": arguments.admin,
        "log_level": arguments.log_level,
        "log_format": arguments.log_format,
        "auth": arguments.auth,
        "workers": arguments.workers,
    }
    try:
        config = with_overrides(loaded.config, **overrides)
    except ValueError as misfit:
        _tell(str(misfit), arguments.log_format or loaded.config.log.format)
        return 2
    again = None if source in (COMMAND_LINE, STDIN) else overrides
    told = replace(loaded, config=config), source, again, _lines(loaded.diagnostics)
    if config.workers != 1:
        from proxy.app.workers import parent

        return parent.run(*told)
    from proxy.app import serve

    return serve.run(*told)


def _tell_wrong(diagnostics: Sequence[Diagnostic], source: str, arguments: argparse.Namespace) -> None:
    """As text, unless the command line itself asks for JSON: a file that is wrong says nothing about its log."""
    why = f"{source} is wrong; nothing was started"
    if arguments.log_format == "json":
        from proxy.app import serve

        serve.refuse([*_lines(diagnostics), why])
    else:
        show([*diagnostics], sys.stderr)
        print(f"tidegate: {why}", file=sys.stderr)


def _tell(why: str, form: str | None) -> None:
    """In the form of the log, of which nothing is loaded yet."""
    as_json = json.dumps({"level": "error", "logger": "tidegate", "message": why})
    print(as_json if form == "json" else f"tidegate: {why}", file=sys.stderr)


def _lines(diagnostics: Sequence[Diagnostic]) -> list[str]:
    """One line each, without the line of the file."""
    return [render([replace(diagnostic, source="")], "text").rstrip("\n") for diagnostic in diagnostics]


def _addresses(arguments: argparse.Namespace) -> dict[str, str]:
    named = {"listen": arguments.listen, "admin": arguments.admin, "auth": arguments.auth}
    return {name: address for name, address in named.items() if address is not None}


def _mistake(targets: Sequence[str]) -> str:
    """What cannot be meant by these words; empty when they are one file, or URLs."""
    for word in targets:
        if _ADDRESS.fullmatch(word) and not Path(word).exists():
            return f"{quoted(word)} is neither a URL nor a file; did you mean {quoted(f'http://{word}')}?"
    files = [word for word in targets if not _is_url(word)]
    if not files or len(targets) == 1:
        return ""
    return f"takes one file, or URLs; {quoted(files[-1])} is one word too many"


def _is_url(word: str) -> bool:
    return _URL.match(word) is not None
