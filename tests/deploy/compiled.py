"""What setup.py compiles and what it leaves out, as setup.py itself says."""

import os
import runpy
from pathlib import Path
from typing import Any, cast

from tests.deploy.conftest import CLONE


def of_setup() -> dict[str, Any]:
    """The names that setup.py defines; run for its rules, it builds nothing."""
    return runpy.run_path(str(CLONE / "setup.py"))


def compiled_modules(root: Path = CLONE) -> list[Path]:
    """Paths of the modules that a build in `root` would compile."""
    before = Path.cwd()
    os.chdir(root)
    try:
        return [root / name for name in cast(list[str], list(of_setup()["modules"]()))]
    finally:
        os.chdir(before)
