"""`python -m proxy.app.bench_worker`: the process that makes the load of `tidegate bench`. Nobody starts it by hand."""

import sys
from pathlib import Path

from proxy.bench.player import CountTokens
from proxy.bench.worker import main
from proxy.live.tokenizers import load_file, load_vocabulary


def counter(name: str) -> CountTokens | None:
    """A tokenizer.json by its path, or a vocabulary of the library by its name; None: there is none."""
    found = load_file(Path(name)) if Path(name).is_file() else load_vocabulary(name)
    return None if found is None else found.encode_count


if __name__ == "__main__":
    sys.exit(main(counter))
