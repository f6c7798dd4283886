"""A configuration file to a Config, or to everything that is wrong with it, each with its line and column.

Owns the order of the steps (read, parse, validate, rules across groups) and the way from an option to its place in the
file. Never raises for a bad file.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from proxy.config.checks import cross_check
from proxy.config.diagnostics import Diagnostic, Severity, has_errors
from proxy.config.faults import Names
from proxy.config.finding import Finding
from proxy.config.fragments import Included, Text, include
from proxy.config.hints import Hints
from proxy.config.keys import unknown_key_hint
from proxy.config.mending import understand
from proxy.config.messages import MISSING, SILENT, hint_of, message_of, missing_hint
from proxy.config.older import moved
from proxy.config.options import OptionPath, all_options, holds_no_text, is_secret, option_holding
from proxy.config.parts import parts_of, valid_parts, without
from proxy.config.report import KEYS, Report, position_of, resolved
from proxy.config.scalars import Surprise, resolve
from proxy.config.schema import Config
from proxy.config.secrets import SecretSource, is_literal
from proxy.config.source import (
    STDIN,
    UnreadableError,
    read_text,
    split_lines,
)
from proxy.config.surroundings import Look, looking_around, looking_nowhere
from proxy.config.tree import Node, Problem

_DIGITS = 16
_NAMES = Names(KEYS, frozenset(option.path[-1] for option in all_options(Config) if option.group is not None))


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, unless one of the diagnostics is an error."""

    config: Config | None
    diagnostics: list[Diagnostic]
    rule_lines: tuple[int, ...] = ()
    """Where each of `routing.rules` begins."""
    digest: str = ""
    """Of the text, 16 hex digits; empty where it could not be read."""
    secret_files: frozenset[Path] = frozenset()
    """Where its secrets were looked for."""
    included: frozenset[Path] = frozenset()
    """What it includes, and the folder of that, where others may come."""


def load(path: Path | Literal["-"], env: Mapping[str, str], *, elsewhere: bool = False) -> Loaded:
    """Read one file, or standard input for `"-"`. References to secrets are looked up in `env`. `elsewhere`: the proxy
    will run on another machine; what this one lacks of secrets and files is noted, and no error."""
    name = "<stdin>" if path == STDIN else str(path)
    try:
        text = read_text(path)
    except UnreadableError as error:
        place = error.position
        return Loaded(None, [Diagnostic(Severity.ERROR, name, *place, "", error.message, error.hint)])
    directory = Path() if path == STDIN else Path(path).parent
    secrets = SecretSource(env, directory, elsewhere)
    return load_text(text, name, secrets, looking_around(directory, elsewhere=elsewhere), directory)


def load_text(
    text: str, name: str, secrets: SecretSource, look: Look = looking_nowhere, directory: Path | None = None
) -> Loaded:
    """The same for text at hand; `name` stands for the file in the diagnostics, `look` looks at the machine, and what
    it includes is looked for in `directory`; None: nowhere."""
    understood = understand(text, _NAMES)
    parsed = understood.parsed
    parsed.root, notes = moved(parsed.root)
    main = Text(name, split_lines(text), understood)
    included = Included(parsed.root) if directory is None else include(parsed.root, main, directory, _NAMES)
    parsed.root = included.root
    report = Report(main, *included.texts)
    for wrong in included.wrong:
        report.whole(wrong)
    for problem in (*parsed.problems, *included.problems):
        message, hint = _problem_words(problem, parsed.root, secrets)
        report.at(problem.position, Finding(problem.path, message, hint))
    for note in notes:
        report.finding(note, at_key=True)
    is_lost = report.has_lost_backends and "backends" not in (parsed.root.value or () if parsed.root else ())
    config = None
    if not is_lost and (parsed.root or not parsed.problems):
        config = _understood(parsed.root, report, secrets, look)
    diagnostics = sorted(report.diagnostics, key=lambda d: (d.file != name, d.file, d.line, d.column))
    digest = sha256((text + included.digest).encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    files = frozenset(secrets.files)
    if config is None or has_errors(diagnostics):
        return Loaded(None, diagnostics, (), digest, files, included.files)
    paths = (("routing", "rules", index) for index in range(len(config.routing.rules)))
    lines = tuple(position_of(parsed.root, path, at_key=False).line for path in paths)
    return Loaded(config, diagnostics, lines, digest, files, included.files)


def _problem_words(problem: Problem, root: Node | None, secrets: SecretSource) -> tuple[str, str]:
    if not problem.surprising or root is None or not isinstance(root.value, dict):
        return problem.message, problem.hint
    _, node = resolved(root, problem.path)
    if node is None:
        return problem.message, problem.hint
    surprise = resolve(str(node.value)) if holds_no_text(option_holding(Config, problem.path)) else None
    message, known = (surprise.message, surprise.hint) if isinstance(surprise, Surprise) else problem[2:4]
    return message, Hints(root, secrets).of_surprise(problem.path, str(node.value), known)


def _understood(root: Node | None, report: Report, secrets: SecretSource, look: Look) -> Config | None:
    if root is None or root.value is None:
        report.finding(Finding((), "the file is empty", "the smallest one holds version: 1, and backends with one url"))
        return None
    if not isinstance(root.value, dict):
        report.finding(Finding((), "must be a group of options", "start with version: 1"))
        return None
    for finding in _references(root, (), secrets):
        report.finding(finding)
    config, meant = _validated(root, report, secrets)
    parts = parts_of(config) if config else valid_parts(root, secrets)
    parts = without(parts, {*report.broken(), *(path for path in meant if len(path) == 1)})
    for finding in chain(cross_check(*parts), look(*parts)):
        report.finding(finding)
    return config


def _references(node: Node, path: OptionPath, secrets: SecretSource) -> Iterator[Finding]:
    """References where none is expanded, and secrets that stand in the file."""
    if isinstance(node.value, dict):
        for key, entry in node.value.items():
            yield from _references(entry.node, (*path, key), secrets)
    elif isinstance(node.value, tuple):
        for index, item in enumerate(node.value):
            yield from _references(item, (*path, index), secrets)
    elif isinstance(node.value, str):
        yield from _reference(node.value, path, secrets)


def _reference(text: str, path: OptionPath, secrets: SecretSource) -> Iterator[Finding]:
    field = option_holding(Config, path)
    if field is None:
        return
    if not is_secret(field):
        if "${" in text:
            yield Finding(path, "${…} is expanded in secrets only, such as api_key", "write the value itself")
        return
    if is_literal(text) and text.count("${") <= text.count("}"):
        hint = "put it into the environment and write ${ENGINE_API_KEY}, or into a file and write ${file:PATH}"
        yield Finding(path, "a secret stands in the file itself", hint, Severity.WARNING)
    if secrets.elsewhere and (missing := secrets.missing(text)):
        yield Finding(path, f"not here, and not looked at: {', '.join(missing)}", severity=Severity.NOTE)


def _validated(root: Node, report: Report, secrets: SecretSource) -> tuple[Config | None, set[OptionPath]]:
    """The configuration, or None; and which options misspelt keys stand for."""
    try:
        return Config.model_validate_json(json.dumps(root.plain()), strict=True, context=secrets), set()
    except ValidationError as invalid:
        hints, errors = Hints(root, secrets), invalid.errors(include_url=False, include_input=False)
        meant = {path for error in errors for path in _meant(error, root)}
        for error in errors:
            path, node = resolved(root, error["loc"])
            stands_elsewhere = path in meant and (node is None or node.value is None)
            if error["type"] == "extra_forbidden" or not stands_elsewhere:
                _report_error(error, root, report, hints)
        return None, meant


def _meant(error: Mapping[str, Any], root: Node) -> Iterator[OptionPath]:
    """What a key that no option has most likely stands for: it is not missing beside."""
    if error["type"] == "extra_forbidden":
        path, _ = resolved(root, error["loc"])
        for word in re.findall(r"[a-z_]+", unknown_key_hint(path)):
            yield (*path[:-1], word)


def _report_error(error: Mapping[str, Any], root: Node, report: Report, hints: Hints) -> None:
    path, node = resolved(root, error["loc"])
    if not path or _only_follows(error, node):
        return
    if error["type"] == "extra_forbidden":
        report.finding(Finding(path, "unknown key", unknown_key_hint(path)), at_key=True)
        return
    if node is None or error["loc"][-1] == "[key]":
        report.finding(
            Finding(path, message_of(error), hint_of(error, MISSING) or missing_hint(path)), at_key=node is not None
        )
        return
    message, hint = hints.message(error, path, node.plain()), hints.of(error, path, node.plain())
    if hint.startswith("write "):
        message = message.partition("; ")[0]  # the general way to write it
    report.finding(Finding(path, message, hint))


def _only_follows(error: Mapping[str, Any], node: Node | None) -> bool:
    """Whether the error is there only because of another one: pydantic counts the valid entries of a list."""
    if error["type"] == "too_short" and node is not None:
        return bool(len(node.value) >= error["ctx"]["min_length"])
    return error["type"] in SILENT
