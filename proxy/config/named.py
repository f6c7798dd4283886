"""A configuration of which only the engines are named: the file that a command line stands for.

Owns its text. It is read as every file is, so that what is wrong with it is said in the same way.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from proxy.config.loader import Loaded, load_text
from proxy.config.secrets import SecretSource
from proxy.config.surroundings import looking_around

COMMAND_LINE = "the command line"
_PLAIN = re.compile(r"[A-Za-z0-9][\w.:/+~?=-]*[\w/]", re.ASCII)


def load_urls(urls: Sequence[str], env: Mapping[str, str], options: Mapping[str, str]) -> Loaded:
    """The configuration of a proxy in front of these engines, or what is wrong with them. `options`: at the top level,
    said here and not later because some do not fit to an engine's URL."""
    backends = "".join(f"  - url: {_scalar(url)}\n" for url in urls)
    others = "".join(f"{name}: {_scalar(value)}\n" for name, value in options.items())
    text = f"version: 1\nbackends:\n{backends}{others}"
    return load_text(text, COMMAND_LINE, SecretSource(env, Path()), looking_around(Path(), elsewhere=False))


def _scalar(text: str) -> str:
    """As a person writes it, in quotes where YAML would take it for something else; what is no UTF-8 is escaped."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text.encode(errors="backslashreplace").decode())
