"""Files of named prompts: read, with the files that they include, and what is wrong with one.

Owns their forms: text, which is the system's; or YAML or JSON with `system`, `messages` and `tools`. Files are
included relative to the file that includes them.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import yaml

from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.model.prompts import PromptSettings, PromptVersion
from proxy.wire.prompts.template import Example, Template, in_order, text_with_variables

MAX_B = 1 << 20
"""Of a prompt with all that it includes."""
_MAX_DEPTH = 8
_MAX_FILES = 64
"""Of one prompt, that are told of."""
_INCLUDE = re.compile(r"\{\{>\s*([^{}\n]{1,512}?)\s*\}\}")
_STRUCTURED = frozenset({".json", ".yaml", ".yml"})
_KEYS = frozenset({"system", "messages", "tools"})
_ROLES = frozenset({"user", "assistant"})


class PromptFileError(Exception):
    """Why a file is no prompt, as the end of a sentence about it."""


class _MissingError(PromptFileError):
    """It is not there, or may not be read: another machine may have it."""


def prompt_findings(prompts: Sequence[PromptSettings], *, elsewhere: bool) -> Iterator[Finding]:
    """Every file that cannot be used. `elsewhere`: missing ones are only noted."""
    for index, prompt in enumerate(prompts):
        for number, version in enumerate(prompt.versions):
            try:
                read_prompt(prompt, version)
            except PromptFileError as error:
                is_noted = elsewhere and isinstance(error, _MissingError)
                path = ("prompts", index, "versions", number, "file")
                yield Finding(path, str(error), severity=Severity.NOTE if is_noted else Severity.ERROR)


def files_of(version: PromptVersion) -> set[Path]:
    """Its file and all that it includes, as far as they can be read."""
    found: set[Path] = set()
    _gather(Path(version.file), found)
    return found


def _gather(path: Path, found: set[Path]) -> None:
    if path in found or len(found) >= _MAX_FILES:
        return
    found.add(path)
    try:
        text = _read(path.resolve())
    except PromptFileError:
        return
    for include in _INCLUDE.finditer(text):
        _gather((path.resolve().parent / include.group(1)).absolute(), found)


def read_prompt(prompt: PromptSettings, version: PromptVersion) -> Template:
    """Raises PromptFileError."""
    path = Path(version.file)
    text = _expanded(path.resolve(), ())
    is_stable_first = prompt.order == "stable_first"
    try:
        if path.suffix.lower() not in _STRUCTURED:
            system = in_order(text, stable_first=is_stable_first)
            return Template(prompt.name, version.version, system, history=prompt.history, first=prompt.answer.rule())
        fields = _fields(text)
        return Template(
            prompt.name,
            version.version,
            in_order(fields.get("system", ""), stable_first=is_stable_first),
            [Example(one["role"], text_with_variables(one["content"])) for one in fields.get("messages", ())],
            [orjson.dumps(tool) for tool in fields.get("tools", ())],
            prompt.history,
            prompt.answer.rule(),
        )
    except ValueError as error:
        raise PromptFileError(str(error)) from None


def _expanded(path: Path, above: tuple[Path, ...]) -> str:
    """The text with all that it includes."""
    if path in above:
        raise PromptFileError(f"{path.name} includes itself")
    if len(above) >= _MAX_DEPTH:
        raise PromptFileError(f"files are included more than {_MAX_DEPTH} deep")
    text = _read(path)
    parts: list[str] = []
    done = size = 0
    for found in _INCLUDE.finditer(text):
        parts += (text[done : found.start()], _expanded((path.parent / found.group(1)).resolve(), (*above, path)))
        done = found.end()
        size += len(parts[-1])
        if size > MAX_B:
            break
    parts.append(text[done:])
    if sum(map(len, parts)) > MAX_B:
        raise PromptFileError(f"the file is larger than {MAX_B >> 20} MiB with all that it includes")
    return "".join(parts)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_B + 1)
    except FileNotFoundError:
        raise _MissingError(f"there is no file {path.name}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a usable path"
        raise _MissingError(f"{path.name} cannot be read: {reason.lower()}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PromptFileError(f"{path.name} is not text in UTF-8") from None


def _fields(text: str) -> dict[str, Any]:
    """ValueError for what is no prompt."""
    try:
        fields = yaml.safe_load(text)
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
        raise ValueError(f"is no YAML or JSON: line {line}") from None
    if not isinstance(fields, dict) or not fields or not fields.keys() <= _KEYS:
        raise ValueError("must have system, messages or tools, and nothing else")
    if not isinstance(fields.get("system", ""), str):
        raise ValueError("system must be text")
    if not _is_list(fields.get("messages", []), _is_message):
        raise ValueError("messages must be a list of {role: user or assistant, content: text}")
    if not _is_list(fields.get("tools", []), _is_tool):
        raise ValueError("tools must be a list of objects")
    return fields


def _is_list(value: Any, fits: Any) -> bool:
    return isinstance(value, list) and all(fits(item) for item in value)


def _is_message(item: Any) -> bool:
    return isinstance(item, dict) and item.get("role") in _ROLES and isinstance(item.get("content"), str)


def _is_tool(item: Any) -> bool:
    return isinstance(item, dict) and bool(item)
