"""Entry point of `tidegate`: from arguments to a subcommand and its exit code.

Owns what is common to all subcommands: unknown ones, Ctrl-C, a reader that left. Knows nothing of their work.
"""

import importlib
import os
import sys
from io import TextIOWrapper

from proxy.cli import streams
from proxy.cli.commands import COMMANDS
from proxy.cli.mistakes import EXIT_USAGE, command_of, unknown_command, unknown_option
from proxy.cli.parser import build_parser
from proxy.live.background import address_space

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
EXIT_READER_LEFT = 141
"""As a shell reports a process that SIGPIPE ended."""


def main(argv: list[str] | None = None) -> int:
    """Run one command line (default: this process's) and return its exit code."""
    streams.hold()
    _print_anything()
    try:
        code = _run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return EXIT_READER_LEFT
    return code


def _run(argv: list[str]) -> int:
    if not argv:
        build_parser(None).print_help(sys.stderr)
        return EXIT_USAGE
    if refused := unknown_option(argv):
        return refused
    command = command_of(argv)
    if command is not None and command not in COMMANDS:
        return unknown_command(command)
    try:
        arguments = build_parser(command).parse_args(argv)
    except SystemExit as stop:  # argparse has said why
        return stop.code if isinstance(stop.code, int) else EXIT_USAGE
    try:
        run = importlib.import_module(f"proxy.cli.{arguments.command}").run
    except (ImportError, MemoryError, OSError):
        why = address_space.why_not()
        if why is None:
            raise
        print(f"tidegate: {why}", file=sys.stderr)  # too little even for what is compiled
        return EXIT_FAILED
    return int(run(arguments))


def _print_anything() -> None:
    """A character the terminal cannot show is escaped, not a crash."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    """What is still buffered goes nowhere, so that the interpreter's last flush is quiet too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
