"""Compiles the hot path with mypyc: the modules below run once or more per request, per chunk or per simulated step.

Everything works without it, at about 1.8 times the CPU (decision 6). `TIDEGATE_COMPILE` says what to do: `auto` (the
default) compiles where a C compiler and Python's headers are there, `yes` fails without them, `no` leaves the source to
the interpreter. `tidegate --version` tells which it became.
"""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from setuptools import setup
from setuptools.command.build_ext import build_ext

_WHOLE = ("core", "core/policies")
"""Folders of which every module is compiled, but for these."""
_NOT = ("__init__.py", "explanation.py")
"""What `explanation` makes is written as JSON by orjson, which reads the insides of interpreted dataclasses only."""
_SINGLE = {
    "engines": "dialect load",
    "live": "attempt driver edge exchange flows intake judge marks pursuit race relay stream upstream",
    "model": "backend commands faults histogram outcome request timeline",
    "obs": "access_log goodput metrics record",
    "sim": "arrival decoding engine jobs kv_pool modelled_backend plan played sequence spec static world",
    "wire": "accounting answers body borders counting deltas errors framing graphemes headers meter pacing prompt"
    " rechunk retry_after routes splice sse tokens usage",
}
_WISH = os.environ.get("TIDEGATE_COMPILE", "auto")


def _modules() -> Iterator[str]:
    for folder in _WHOLE:
        yield from sorted(str(path) for path in Path("proxy", folder).glob("*.py") if path.name not in _NOT)
    for folder, names in _SINGLE.items():
        yield from (f"proxy/{folder}/{name}.py" for name in names.split())


class _Build(build_ext):
    """All C files at once, and pure Python where that fails and may fail."""

    def build_extensions(self) -> None:
        one_after_another = self.compiler.compile

        def side_by_side(sources: list[str], *args: Any, **options: Any) -> list[str]:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                built = pool.map(lambda source: one_after_another([source], *args, **options), sources)
                return [output for outputs in built for output in outputs]

        self.compiler.compile = side_by_side
        try:
            super().build_extensions()
        except Exception as error:
            if _WISH == "yes":
                raise
            self.extensions = []  # half of it would not even import
            _say(f"not compiled: {error}")


def _extensions() -> list[Any]:
    if _WISH == "no":
        return []
    lenient = ["--ignore-missing-imports"]  # the types of what only tests or rarer modules use need not be there
    try:
        from mypyc.build import mypycify

        return mypycify([*lenient, *_modules()], opt_level="1", debug_level="0", multi_file=True, group_name="tidegate")
    except (ImportError, SystemExit) as error:
        if _WISH == "yes":
            raise
        why = "types do not fit, see above" if isinstance(error, SystemExit) else error
        _say(f"not compiled: {why}")
        return []


def _say(text: str) -> None:
    print(f"tidegate: {text}", file=sys.stderr)


setup(ext_modules=_extensions(), cmdclass={"build_ext": _Build})
