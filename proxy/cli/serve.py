"""`tidegate serve`: a right configuration, the overrides of the command line, then the proxy."""

import argparse
import sys

from proxy.cli.check import load_file, show
from proxy.config.overrides import with_overrides


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop; 1 when the configuration is wrong, 2 when an override does not fit it."""
    loaded = load_file(arguments.file)
    show(loaded.diagnostics, sys.stderr)
    if loaded.config is None:
        print(f"tidegate: {arguments.file} is wrong; nothing was started", file=sys.stderr)
        return 1
    try:
        config = with_overrides(
            loaded.config,
            listen=arguments.listen,
            admin=arguments.admin,
            log_level=arguments.log_level,
            log_format=arguments.log_format,
        )
    except ValueError as misfit:
        print(f"tidegate serve: {misfit}", file=sys.stderr)
        return 2
    from proxy.app import serve

    return serve.run(config, arguments.file, loaded.rule_lines)
