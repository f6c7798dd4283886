"""`tidegate key new`: an API key for a client, shown once, and the lines of the configuration that stand for it."""

import argparse
import hashlib
import json
import secrets
import sys

_BYTES = 32
"""Of chance: nobody finds a key by its digest."""
PREFIX = "tg-"


def run(arguments: argparse.Namespace) -> int:
    """0. The key goes to standard output, where it is the only word of its line."""
    key = PREFIX + secrets.token_urlsafe(_BYTES)
    entry = {"digest": "sha256:" + hashlib.sha256(key.encode()).hexdigest()}
    entry |= {name: value for name in ("id", "expires") if (value := getattr(arguments, name))}
    if arguments.json:
        print(json.dumps({"key": key, **({"tenant": arguments.tenant} if arguments.tenant else {}), **entry}))
        return 0
    print(f"{key}\n")
    print("The key is shown this once. For the configuration:\n")
    print("\n".join(_lines(arguments.tenant, entry)))
    if sys.stdout.isatty():
        print("\nClients are asked for keys where it says auth: keys.")
    return 0


def _lines(tenant: str | None, entry: dict[str, str]) -> list[str]:
    first, *rest = [f"{name}: {json.dumps(value) if name == 'id' else value}" for name, value in entry.items()]
    lines = [f"      - {first}", *(f"        {line}" for line in rest)]
    return lines if tenant is None else ["tenants:", f"  - tenant: {json.dumps(tenant)}", "    keys:", *lines]
