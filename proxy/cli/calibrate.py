"""`tidegate calibrate`: modelled engines from an access log."""

import argparse


def run(arguments: argparse.Namespace) -> int:
    """Fit, judge, write."""
    from proxy.app.forecast import calibrate

    return calibrate.run(arguments)
