"""`tidegate demo`: the proxy at work in front of simulated engines."""

import argparse

from proxy.config.schema import Config


def run(arguments: argparse.Namespace) -> int:
    """Run the demo until told to stop, on the default addresses unless told otherwise."""
    from proxy.app import demo

    fields = Config.model_fields
    listen, admin = arguments.listen or fields["listen"].default, arguments.admin or fields["admin"].default
    return demo.run(listen, admin)
