"""OpenAI's own vocabularies, by tiktoken, from files that are here. Nothing is ever downloaded.

Owns where such a file is looked for, that it is the published one, and how it is loaded. To make a tokenizer of it
holds Python's lock for up to a second, thread or not: it is done before anybody is served, or not at all.
"""

import base64
import binascii
import hashlib
import importlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from proxy.wire.vocabularies import BPE_FILES, BpeFile

_log = logging.getLogger(__name__)
_MAX_B: Final = 16 << 20
_CACHES: Final = ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR")
"""Where tiktoken looks. Its third place, a directory in the system's for temporary files, is nobody's decision."""


def caches(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """The directories that the environment names."""
    return tuple(Path(environment[name]) for name in _CACHES if environment.get(name))


def at_hand(
    files: Sequence[Path], directories: Sequence[Path], known: Sequence[BpeFile] = BPE_FILES
) -> dict[str, tuple[BpeFile, bytes]]:
    """By the place where it was found, each published vocabulary once: named files first. Reads them; what is not there
    or another file is passed over."""
    found: dict[str, tuple[BpeFile, bytes]] = {}
    for path in (*files, *(directory / one.cached_as for directory in directories for one in known)):
        data = _read(path)
        digest = hashlib.sha256(data).hexdigest() if data else ""
        entry = next((one for one in known if one.sha256 == digest), None)
        if entry is None and (data or path in files):
            _log.warning("%s is no vocabulary as OpenAI publishes them, and is not used", path)
        if entry is not None and (path in files or all(one is not entry for one, _ in found.values())):
            found[str(path)] = entry, data
    return found


def load(entry: BpeFile, data: bytes) -> Any:
    """Its encoding, whose special tokens are left out: text has none. None where it cannot be used. Blocks, and holds
    Python's lock, for up to a second."""
    try:
        tiktoken = importlib.import_module("tiktoken")
        ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, data.splitlines())}
        return tiktoken.Encoding(entry.vocabularies[0], pat_str=entry.pattern, mergeable_ranks=ranks, special_tokens={})
    except (ImportError, ValueError, binascii.Error) as error:
        _log.warning("vocabulary %s cannot be used by tiktoken: %s", entry.vocabularies[0], error)
        return None


def _read(path: Path) -> bytes:
    """Empty where it cannot be read, or is larger than any."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_B + 1)
    except OSError:
        return b""
    return data if len(data) <= _MAX_B else b""
