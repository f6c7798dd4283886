"""`tidegate tune`: options that serve recorded traffic better."""

import argparse


def run(arguments: argparse.Namespace) -> int:
    """Search, print the change."""
    from proxy.app.forecast import tune
    from proxy.cli.admin_key import admin_key
    from proxy.cli.bench_options import target_headers

    return tune.run(arguments, admin_key, target_headers("url"))
