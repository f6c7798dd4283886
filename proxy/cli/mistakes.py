"""What was meant by a word of the command line that nobody knows. Owns the hints; the words are the parser's."""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile

from proxy.cli.commands import COMMANDS
from proxy.cli.parser import options_of

EXIT_USAGE = 2
_NUMBER = re.compile(r"-\d*\.?\d+")
_DASHES = ("-", "\N{EN DASH}", "\N{EM DASH}")
_ELSEWHERE = {
    "--port": "write --listen HOST:PORT",
    "--host": "write --listen HOST:PORT",
    "--bind": "write --listen HOST:PORT",
    "--config": "the file stands without an option: tidegate serve routing.yaml",
    "--file": "the file stands without an option: tidegate serve routing.yaml",
    "--backend": "engines stand without an option: tidegate serve http://127.0.0.1:8001",
    "--upstream": "engines stand without an option: tidegate serve http://127.0.0.1:8001",
    "--url": "engines stand without an option: tidegate serve http://127.0.0.1:8001",
}
"""Of `serve`, as other programs call it."""


def command_of(argv: Sequence[str]) -> str | None:
    """The subcommand: the first word that is no option."""
    return next((word for word in argv if not word.startswith("-")), None)


def unknown_command(command: str) -> int:
    """Say so; the exit code."""
    from proxy.config.refusal import did_you_mean, quoted

    hint = did_you_mean(command, COMMANDS) or _list(COMMANDS)
    return _refused("tidegate", f"unknown command {quoted(command)}", hint)


def unknown_option(argv: Sequence[str]) -> int:
    """Say which option nobody knows, before anything else that is wrong; 0: all are known."""
    before = list(takewhile(lambda word: word.startswith("-"), argv))
    for option in _options(before):
        if option not in options_of(None):
            return _refuse_option("tidegate", option, _before_the_command(option))
    command = command_of(argv)
    if command not in COMMANDS:
        return 0
    known = options_of(command)
    for option in _options(argv[len(before) + 1 :]):
        if option not in known:
            return _refuse_option(f"tidegate {command}", option, _after_the_command(command, option, known))
    return 0


def _options(words: Sequence[str]) -> Iterator[str]:
    """The words that argparse takes for options, without their values, and those with the dash of a word processor."""
    for word in takewhile(lambda word: word != "--", words):
        if word.startswith(_DASHES) and word != "-" and " " not in word and not _NUMBER.fullmatch(word):
            yield word.partition("=")[0]


def _before_the_command(option: str) -> str:
    from proxy.config.refusal import did_you_mean

    owners = [command for command in COMMANDS if option in options_of(command)]
    if owners:
        return f"it stands behind the command: tidegate {owners[0]} {option}"
    return did_you_mean(option, options_of(None)) or _list(options_of(None))


def _after_the_command(command: str, option: str, known: Sequence[str]) -> str:
    from proxy.config.refusal import did_you_mean

    elsewhere = _ELSEWHERE.get(option, "") if command == "serve" else ""
    return elsewhere or did_you_mean(option, known) or _list(known)


def _list(known: Iterable[str]) -> str:
    return f"known: {', '.join(known)}"


def _refuse_option(program: str, option: str, hint: str) -> int:
    from proxy.config.refusal import quoted

    return _refused(program, f"unknown option {quoted(option)}", hint)


def _refused(program: str, message: str, hint: str) -> int:
    print(f"{program}: {message}; {hint}", file=sys.stderr)
    return EXIT_USAGE
