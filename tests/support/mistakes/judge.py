"""Whether a mistake is told as a stranger needs it: found, where it is, with what to do, and once."""

from pathlib import Path

from proxy.config.diagnostics import Diagnostic, Severity
from proxy.config.loader import load_text
from proxy.config.secrets import SecretSource
from tests.support.mistakes.bases import ENVIRONMENT
from tests.support.mistakes.mistake import Mistake

_SAYS_WHAT_IS_RIGHT = ("must be ", "must not be above", "at least", "at most", "known: ")
"""Messages that need no hint beside."""


def told(text: str) -> list[Diagnostic]:
    """What is said of a file, but for notes."""
    found = load_text(text, "routing.yaml", SecretSource(ENVIRONMENT, Path("/nowhere"))).diagnostics
    return [one for one in found if one.severity is not Severity.NOTE]


def fault_of(mistake: Mistake) -> str:
    """What is wrong with what is told of it; empty: nothing."""
    found = told(mistake.text)
    errors = [one for one in found if one.severity is Severity.ERROR]
    said = errors if mistake.is_error else found
    here = [one for one in said if one.line in mistake.lines]
    if not said:
        return "is not found"
    if not here:
        return "is told on another line"
    if mistake.column is not None and not any(one.column == mistake.column for one in here):
        return "is told in another column"
    if not any(_names(one, mistake.words) for one in here):
        return "is told without a word of what to do"
    if not all(one.hint or any(words in one.message for words in _SAYS_WHAT_IS_RIGHT) for one in here):
        return "has no hint"
    return "is told several times" if len(errors) > 1 or len(found) > 2 else ""


def shown(mistake: Mistake) -> str:
    """For whoever reads a failure."""
    lines = [f"{mistake.kind} in {mistake.base}, lines {mistake.lines}, wanted: {mistake.words}"]
    written = mistake.text.split("\n")
    lines += [f"    {n}: {written[n - 1]!r}" for n in range(mistake.lines[0], min(mistake.lines[-1], len(written)) + 1)]
    lines += [f" -> {d.line}:{d.column} {d.severity} {d.path}: {d.message}; {d.hint}" for d in told(mistake.text)[:5]]
    return "\n".join(lines)


def _names(diagnostic: Diagnostic, words: tuple[str, ...]) -> bool:
    whole = f"{diagnostic.path}: {diagnostic.message}; {diagnostic.hint}".lower()
    return any(word.lower() in whole for word in words)
