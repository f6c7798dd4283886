"""`tidegate simulate`: a configuration on virtual time."""

import argparse


def run(arguments: argparse.Namespace) -> int:
    """Play the traffic and print the tables."""
    from proxy.app import simulate

    return simulate.run(arguments)
