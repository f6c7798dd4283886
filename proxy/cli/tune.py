"""`tidegate tune`: options that serve recorded traffic better."""

import argparse


def run(arguments: argparse.Namespace) -> int:
    """Search, print the change."""
    from proxy.app.forecast import tune

    return tune.run(arguments)
