"""The command line as a whole: its subcommands put together, and the help of `tidegate` itself."""

import argparse
import os
from collections.abc import Iterator
from typing import Any

from proxy.cli import environment
from proxy.cli.commands import COMMANDS
from proxy.cli.grammar import Parser


def build_parser(command: str | None, *, whole: bool = False) -> argparse.ArgumentParser:
    """The whole grammar; unless `whole`, only `command` gets its arguments, so that no other one is imported."""
    parser = Parser(
        prog="tidegate",
        description="An OpenAI-compatible smart proxy in front of LLM engines.",
        epilog="start here:\n  tidegate demo\n  tidegate serve http://127.0.0.1:8001\n  tidegate init\n"
        "  tidegate check routing.yaml\n  tidegate serve routing.yaml\n\n"
        "worked files: config/examples of the source, for a home, a team, Kubernetes, and after other proxies\n\n"
        "exit codes:\n  0, 1, 2  as the help of each command says\n"
        "  130      Ctrl-C before a command could end by itself\n  141      whoever read the output left\n\n"
        "environment:\n  TIDEGATE_CONFIG, TIDEGATE_LISTEN, …  what serve is not told, see its help\n"
        "  NO_COLOR                            no colours, though it is a terminal",
    )
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    for name, (summary, epilog, add_arguments, in_environment) in COMMANDS.items():
        sub = subparsers.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=epilog,
        )
        if whole or name == command:
            add_arguments(sub)
            if in_environment:
                environment.offer(sub, os.environ)
    return parser


def options_of(command: str | None) -> tuple[str, ...]:
    """Every spelling of every option of a subcommand; of `tidegate` itself for None."""
    if command is None:
        return ("-h", "--help", "--version")
    parser = argparse.ArgumentParser(allow_abbrev=False)
    COMMANDS[command].add_arguments(parser)
    return tuple(_options_below(parser))


def _options_below(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _options_below(below)


class _Version(argparse.Action):
    """Reads the version of the installed distribution only when it is asked for."""

    def __init__(self, option_strings: list[str], dest: str, help: str | None = None) -> None:  # noqa: A002
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from proxy import __version__, build

        print(f"tidegate {__version__} ({build()})")
        parser.exit()
