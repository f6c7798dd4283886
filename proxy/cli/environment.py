"""Options of a command that the environment may give, as container platforms do: `--log-format` is TIDEGATE_LOG_FORMAT.

The command line goes before it, and it before the file. Owns the names.
"""

import argparse
from collections.abc import Mapping

_PREFIX = "TIDEGATE_"
_CONFIG = f"{_PREFIX}CONFIG"
"""The file, which stands without an option."""
_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})
_ARGUMENT_ERRORS = (argparse.ArgumentTypeError, TypeError, ValueError)


def offer(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    """Make what the environment says the default of each option, and tell its variable in the help.

    Ends with a usage error, as an option would, for a value that cannot be; empty is as if it were not set.
    """
    for action in parser._actions:
        name = variable_of(action)
        if name is None:
            continue
        action.help = f"{action.help} [{name}]"
        if text := environ.get(name):
            action.default = _value(parser, action, name, text)


def variable_of(action: argparse.Action) -> str | None:
    """The variable that stands for an option; None for --help and the like."""
    if not action.option_strings:
        return _CONFIG
    longest = max(action.option_strings, key=len)
    return (
        None if action.dest in ("help", argparse.SUPPRESS) else _PREFIX + longest.lstrip("-").replace("-", "_").upper()
    )


def _value(parser: argparse.ArgumentParser, action: argparse.Action, name: str, text: str) -> object:
    if action.nargs == 0:
        if text.lower() not in _YES | _NO:
            parser.error(f"{name}: {text!r} is neither yes nor no")
        return action.const if text.lower() in _YES else action.default
    convert = action.type if callable(action.type) else str
    try:
        value = convert(text)
    except _ARGUMENT_ERRORS as error:
        parser.error(f"{name}: {error}")
    if action.choices is not None and value not in action.choices:
        parser.error(f"{name}: {text!r} is not one of {', '.join(map(str, action.choices))}")
    return [value] if action.nargs in ("*", "+") else value
