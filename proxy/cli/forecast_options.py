"""What the commands that forecast take. Each is imported only when it is the one that runs."""

import argparse


def calibrate(parser: argparse.ArgumentParser) -> None:
    """Of `tidegate calibrate`."""
    from proxy.app.forecast.calibrate import add_arguments

    add_arguments(parser)
