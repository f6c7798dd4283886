"""The parser of the command line as people need it: help that fits the terminal, and what was meant by a word that is
no choice.

Owns how descriptions and examples are broken into lines; what they say is the business of `parser`.
"""

import argparse
import re
import textwrap
from collections.abc import Iterator
from typing import Any

_COMMAND = "  tidegate "
_FURTHER = "      "
"""In front of what goes on with a command on another line."""


class Help(argparse.RawDescriptionHelpFormatter):
    """Sentences are filled, long examples go on behind a backslash; tables, lists and headings stay as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(indent + line for line in _fitting(text, width))


class Parser(argparse.ArgumentParser):
    """Says what was meant by what is none of an option's words."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "formatter_class": Help, "allow_abbrev": False})

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        from proxy.config.refusal import did_you_mean

        known = [str(choice) for choice in action.choices]
        hint = did_you_mean(str(value), known) or f"choose from {', '.join(known)}"
        raise argparse.ArgumentError(action, f"invalid choice: {value!r}; {hint}")


def _fitting(text: str, width: int) -> Iterator[str]:
    sentences: list[str] = []
    for line in text.splitlines():
        if line and not line.startswith(" ") and not line.endswith(":"):
            sentences.append(line)
            continue
        yield from _filled(sentences, width)
        sentences = []
        yield from _example(line, width) if line.startswith(_COMMAND) and len(line) > width else [line]
    yield from _filled(sentences, width)


def _filled(sentences: list[str], width: int) -> list[str]:
    return textwrap.wrap(" ".join(sentences), width, break_long_words=False, break_on_hyphens=False)


def _example(line: str, width: int) -> list[str]:
    """A command on several lines, as a shell reads it; a remark behind it stands below."""
    command, remark = re.fullmatch(r"(.*?)(?:  +(\(.*\)))?", line).groups()  # type: ignore[union-attr]
    broken = textwrap.wrap(
        command.strip(),
        width - 4,
        initial_indent="  ",
        subsequent_indent=_FURTHER,
        break_long_words=False,
        break_on_hyphens=False,
    )
    lines = [f"{part} \\" for part in broken[:-1]] + broken[-1:]
    return lines + ([f"{_FURTHER}{remark}"] if remark else [])
