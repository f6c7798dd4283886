"""What it costs to look at an API key, with one key, a thousand and a hundred thousand.

    python -m tests.benchmarks.keys                  CPU microseconds, the best of several rounds
    python -m tests.benchmarks.keys instructions     instructions in user space, under callgrind

Measured is `Gate.admit`: the key is found in the head, digested and looked up, and the head is left without it or 401.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from proxy.live.gate import Gate
from proxy.model.auth import AuthSettings
from proxy.model.faults import FaultError
from proxy.model.tenants import KeySettings, TenantSettings
from proxy.wire.headers import Head
from tests.support.heads import head

SIZES = (1, 1_000, 100_000)
_OF_A_TENANT = 100
_ROUNDS, _CHECKS = 9, 2_000
_FEW, _MANY = 1_000, 3_000
"""Checks of the two runs whose difference is counted."""
_START_S = 300.0
_SELF = "tests.benchmarks.keys"


def key(number: int) -> str:
    """As `tidegate key new` makes them: 51 characters."""
    return "tg-" + sha256(f"key {number}".encode()).hexdigest()[:48]


def shown(size: int) -> dict[str, str | None]:
    """What a request may show as its key, among `size` of them."""
    right = key(size // 2)
    return {
        "right": right,
        "wrong": key(size + 1),
        "wrong in its last character": right[:-1] + ("0" if right[-1] != "0" else "1"),
        "wrong in its first character": "x" + right[1:],
        "one character": "x",
        "non-ASCII": "\xe9" * 51,
        "huge (15,000)": "x" * 15_000,
        "none": None,
    }


def gate_of(size: int) -> Gate:
    """Asks everybody; so many keys, a hundred per tenant."""
    tenants = []
    for first in range(0, size, _OF_A_TENANT):
        numbers = range(first, min(size, first + _OF_A_TENANT))
        keys = tuple(KeySettings(digest="sha256:" + sha256(key(n).encode()).hexdigest()) for n in numbers)
        tenants.append(TenantSettings(tenant=f"t{first}", keys=keys))
    return Gate(AuthSettings(mode="keys"), tenants, time.time)


def check(gate: Gate, asked: Head, forward: list[tuple[bytes, bytes]]) -> bool:
    """Whether it comes in; the head is as before afterwards."""
    asked.forward, asked.tenant = forward, ""
    try:
        gate.admit(asked, "192.0.2.1")
    except FaultError:
        return False
    return True


def head_with(text: str | None) -> Head:
    """A request's head, with such a key."""
    return head(accept="*/*", **({} if text is None else {"authorization": f"Bearer {text}"}))


def cpu_us(gate: Gate, text: str | None) -> float:
    """Of one check."""
    asked, took = head_with(text), []
    forward = asked.forward
    for _ in range(_ROUNDS):
        start = time.process_time()
        for _ in range(_CHECKS):
            check(gate, asked, forward)
        took.append(time.process_time() - start)
    return min(took) / _CHECKS * 1e6


def instructions(size: int, kind: str) -> float:
    """Of one check."""
    few, many = (_counted(size, kind, checks) for checks in (_FEW, _MANY))
    return (many - few) / (_MANY - _FEW)


def _counted(size: int, kind: str, checks: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", sys.executable, "-m", _SELF]
        subprocess.run(
            [*command, "checks", str(size), kind, str(checks)],
            env={**os.environ, "PYTHONHASHSEED": "0"},
            capture_output=True,
            timeout=_START_S,
            check=True,
        )
        total = next(line for line in out.read_text().splitlines() if line.startswith(("summary:", "totals:")))
    return int(total.split()[1])


def _table(unit: str, measured: Callable[[int, str], float], sizes: tuple[int, ...]) -> None:
    print(f"{unit} for one check, by the number of keys")
    print(f"{'shown':30}" + "".join(f"{size:>12,}" for size in sizes))
    for kind in shown(1):
        print(f"{kind:30}" + "".join(f"{measured(size, kind):12,.2f}" for size in sizes), flush=True)


def main(arguments: list[str]) -> None:
    """Prints a table."""
    if arguments[:1] == ["checks"]:
        size, kind, checks = int(arguments[1]), arguments[2], int(arguments[3])
        gate, asked = gate_of(size), head_with(shown(size)[kind])
        forward = asked.forward
        for _ in range(checks):
            check(gate, asked, forward)
    elif arguments[:1] == ["instructions"]:
        _table("instructions", instructions, (1, 1_000))
    else:
        gates = {size: gate_of(size) for size in SIZES}
        _table("CPU µs", lambda size, kind: cpu_us(gates[size], shown(size)[kind]), SIZES)


if __name__ == "__main__":
    main(sys.argv[1:])
