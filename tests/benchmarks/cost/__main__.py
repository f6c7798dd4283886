"""Counts what Tidegate costs and compares it with what is committed: `python -m tests.benchmarks.cost [--update]`.

Status 0: no more than it may; 1: more; 2: nothing could be counted. A build of Python without committed figures is
said, and is no failure.
"""

import argparse
import shutil
import sys

import proxy.live.exchange
from tests.benchmarks.cost.figures import build, commit, committed, table, too_much
from tests.benchmarks.cost.measure import measure

UNKNOWN = """\
+==============================================================================+
|  NO FIGURES ARE COMMITTED FOR THIS BUILD OF PYTHON: nothing was compared.    |
|  To have them: make cost ARGS=--update, on a commit whose cost is as wished  |
+==============================================================================+"""


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="make cost", description=__doc__)
    parser.add_argument("--update", action="store_true", help="write what was counted as the new figures")
    update = parser.parse_args().update
    if why := _cannot():
        print(f"cost: {why}", file=sys.stderr)
        return 2
    return _judged(update)


def _cannot() -> str | None:
    """Why nothing can be counted."""
    if not str(proxy.live.exchange.__file__).endswith(".so"):
        return "this installation is not compiled, and the figures are of one that is; fix: make clean, then make cost"
    if shutil.which("callgrind_control") is None:
        return "there is no valgrind; on Debian: apt-get install valgrind"
    return None


def _judged(update: bool) -> int:
    name = build()
    before = committed().get(name)
    now = measure()
    more = [] if before is None else too_much(before, now)
    print(f"{name}, compiled\n\n{table(before, now)}")
    if update:
        commit(name, now)
        return 0
    if before is None:
        print(UNKNOWN, file=sys.stderr)
    for thing in more:
        print(
            f"cost: a {thing} costs more than it may; if it has to: make cost ARGS=--update, and say why",
            file=sys.stderr,
        )
    return 1 if more else 0


if __name__ == "__main__":
    sys.exit(main())
