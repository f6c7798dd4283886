"""The committed figures and the judgement: how far above them a measurement may be.

Instructions say nothing of the machine's speed or of its other work. They do depend on the interpreter and the compiler
that made it, so each build of Python has figures of its own.
"""

import json
import platform
import sysconfig
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_name("figures.json")
MOST: Final = {"request": 0.03, "chunk": 0.08, "stream": 0.08}
"""What each may cost more before it is too much: three times, once and a third above what repetitions differ by."""

Figures = dict[str, int]
"""Instructions by thing."""


def build() -> str:
    """The interpreter and how it was built: `CPython 3.11.7, GCC 12.2.0, x86_64`."""
    tuned = ", optimized" if "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "") else ""
    made_with = platform.python_compiler()
    return f"{platform.python_implementation()} {platform.python_version()}, {made_with}, {platform.machine()}{tuned}"


def committed() -> dict[str, Figures]:
    """By build."""
    found: dict[str, Figures] = json.loads(FILE.read_text())
    return found


def commit(name: str, figures: Figures) -> None:
    """Writes new ones of one build beside those of the others."""
    FILE.write_text(json.dumps({**committed(), name: figures}, indent=2, sort_keys=True) + "\n")


def too_much(before: Figures, now: Figures) -> list[str]:
    """Things that cost more than they may."""
    return [thing for thing, most in MOST.items() if now[thing] > before[thing] * (1 + most)]


def table(before: Figures | None, now: Figures) -> str:
    """One line per thing: instructions, what was committed, the change, what is allowed."""
    lines = [f"{'instructions per':18}{'now':>10}{'committed':>12}{'change':>9}{'at most':>9}"]
    for thing, count in now.items():
        line = f"{thing:18}{count:>10,}"
        if before is not None:
            line += f"{before[thing]:>12,}{count / before[thing] - 1:>+9.1%}{MOST[thing]:>+9.0%}"
        lines.append(line)
    return "\n".join(lines)
