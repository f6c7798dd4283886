"""`tidegate help`: what `--help` says, for those who ask in the other way."""

import argparse

from proxy.cli.commands import COMMANDS
from proxy.cli.mistakes import unknown_command


def run(arguments: argparse.Namespace) -> int:
    """Print the help of everything, or of one command; 2 for a command that is none."""
    from proxy.cli.main import main

    topic = arguments.topic
    if topic is not None and topic not in COMMANDS:
        return unknown_command(topic)
    return main(["--help"] if topic is None else [topic, "--help"])
