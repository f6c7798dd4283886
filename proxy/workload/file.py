"""A workload by its name, or from a small YAML file that says what differs from a named one.

    like: mixed
    rate: 40
    conversations: {pause: 5s, system: {median: 3000}}

Owns that file. What the numbers mean is the generator's.
"""

from pathlib import Path

from pydantic import ValidationError

from proxy.config.refusal import did_you_mean
from proxy.config.source import UnreadableError, read_text
from proxy.config.tree import parse
from proxy.workload.generator import WORKLOADS, Workload


class WorkloadError(Exception):
    """The workload cannot be generated; the message says why."""


def read_workload(text: str) -> Workload:
    """`chat`, or a file whose name ends in .yaml. Raises WorkloadError."""
    if not text.endswith((".yaml", ".yml")):
        return _named(text, "--workload")
    try:
        parsed = parse(read_text(Path(text)))
    except UnreadableError as error:
        raise WorkloadError(f"{text}: {error.message}") from None
    if parsed.problems:
        first = parsed.problems[0]
        raise WorkloadError(f"{text}:{first.position.line}:{first.position.column}: {first.message}")
    plain = parsed.root.plain() if parsed.root else None
    if not isinstance(plain, dict):
        raise WorkloadError(f"{text}: must be a group of options, such as like: mixed")
    return _changed(text, _named(str(plain.pop("like", "chat")), f"{text}: like"), plain)


def _named(name: str, where: str) -> Workload:
    if name not in WORKLOADS:
        hint = did_you_mean(name, tuple(WORKLOADS)) or f"known: {', '.join(WORKLOADS)}, or a file *.yaml"
        raise WorkloadError(f"{where}: no workload is named {name[:64]!r}; {hint}")
    return WORKLOADS[name]


def _changed(file: str, base: Workload, plain: dict[str, object]) -> Workload:
    try:
        return Workload.model_validate(_merged(base.model_dump(mode="json"), plain))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise WorkloadError(f"{file}: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None


def _merged(base: dict[str, object], changes: dict[str, object]) -> dict[str, object]:
    """Groups are merged, values replaced."""
    merged = dict(base)
    for key, value in changes.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
