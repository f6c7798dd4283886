"""`tidegate schema`: the JSON Schema of the configuration."""

import argparse
import json

from proxy.config.json_schema import json_schema


def run(arguments: argparse.Namespace) -> int:
    """Print the schema."""
    print(json.dumps(json_schema(), indent=2))
    return 0
