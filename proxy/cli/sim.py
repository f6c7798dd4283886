"""`tidegate sim`: one simulated engine over HTTP."""

import argparse


def run(arguments: argparse.Namespace) -> int:
    """Run the engine until told to stop."""
    from proxy.app import sim

    return sim.run(arguments)
