"""The process in which answers are checked against their schemas: it may be killed at any time, and lose nothing.

    frame: lengths of form and answer, whether it is a stream │ form │ answer     ─▶     length │ {"verdict", "error"}

Owns the frames on its side, and its own bounds: memory, no files, a lower priority than the proxy has. It ends with its
input.
"""

import os
import resource
import signal
import sys
from typing import BinaryIO, Final

import orjson

from proxy.model.structured import Finding
from proxy.wire.schema_check import check
from proxy.wire.structured import ASKED, SAID

MEMORY_B: Final = 512 << 20
"""Address space."""
_NICE: Final = 5


def serve(asks: BinaryIO, says: BinaryIO) -> None:
    """Says once that it is ready, then answers until there is nothing more to read."""
    says.write(SAID.pack(0))
    says.flush()
    while len(head := asks.read(ASKED.size)) == ASKED.size:
        spec_b, answer_b, is_stream = ASKED.unpack(head)
        spec = asks.read(spec_b)
        says.write(_frame(check(spec, asks.read(answer_b), is_stream=is_stream)))
        says.flush()


def _frame(finding: Finding) -> bytes:
    said = orjson.dumps([finding.verdict, finding.error.encode("utf-8", "replace").decode()])
    return SAID.pack(len(said)) + said


def main() -> None:
    """As a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the proxy's, which closes our input
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = MEMORY_B if hard == resource.RLIM_INFINITY else min(MEMORY_B, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(_NICE)
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
