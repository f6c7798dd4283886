"""`tidegate demo`: the proxy at work in front of simulated engines."""

import argparse

from proxy.config.schema import Config


def run(arguments: argparse.Namespace) -> int:
    """Run the demo until it is over or told to stop, on the default addresses unless told otherwise."""
    from proxy.app.demo.show import Wishes, run

    fields = Config.model_fields
    return run(
        Wishes(
            listen=arguments.listen or fields["listen"].default,
            admin=arguments.admin or fields["admin"].default,
            scenes=tuple(arguments.scene),
            scene_s=arguments.duration,
            load=arguments.load,
            as_json=arguments.json,
        )
    )
