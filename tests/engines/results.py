"""What the tests of the engines found, by engine and case.

`TIDEGATE_COMPATIBILITY=FILE` writes it there, over what was there before.
"""

import datetime
import json
import os
import re
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import pytest

VARIABLE: Final = "TIDEGATE_COMPATIBILITY"
POOL: Final = "pool"
"""In place of an engine: all of them behind one name."""
_WORST: Final = ("failed", "passed", "skipped")


class Results:
    """Outcomes of one run: engine → case → outcomes of its tests."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, list[tuple[str, str]]]] = defaultdict(lambda: defaultdict(list))

    def note(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """Takes in the report of a test that is marked as a case."""
        marker = item.get_closest_marker("case")
        if marker is None or (report.when != "call" and report.outcome == "passed"):
            return
        engine = self._engine_of(item)
        reason = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else ""
        self._found[engine][marker.args[0]].append((report.outcome, reason.removeprefix("Skipped: ")))

    @staticmethod
    def _engine_of(item: pytest.Item) -> str:
        call = getattr(item, "callspec", None)
        return str(call.params.get("kind", POOL)) if call is not None else POOL

    def rows(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Engine → case → outcome, how many tests, why not."""
        return {engine: {case: _row(told) for case, told in cases.items()} for engine, cases in self._found.items()}

    def write(self, versions: dict[str, str]) -> None:
        """Puts this run's rows over those of earlier ones, where the variable says so."""
        path = os.environ.get(VARIABLE)
        if not path or not self._found:
            return
        file = Path(path)
        kept = json.loads(file.read_text()) if file.exists() else {}
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        for engine, cases in self.rows().items():
            before = kept.get(engine, {})
            known = before["cases"] if before.get("version") == versions[engine] else {}
            kept[engine] = {"version": versions[engine], "date": today, "cases": {**known, **cases}}
        file.write_text(json.dumps(dict(sorted(kept.items())), indent=1, sort_keys=True) + "\n")


def _row(told: list[tuple[str, str]]) -> dict[str, Any]:
    outcome = next(name for name in _WORST if any(found == name for found, _ in told))
    why = next((reason for found, reason in told if found == outcome and reason), "")
    return {"outcome": outcome, "tests": sum(found == outcome for found, _ in told), **({"why": why} if why else {})}


def versions() -> dict[str, str]:
    """What is pinned of each engine, and for the pool of all."""
    here = Path(__file__).parent

    def pinned(name: str, file: str) -> str:
        found = re.search(rf"^{name}==([\w.]+)", (here / file).read_text(), re.MULTILINE)
        assert found, (name, file)
        return found[1]

    return {
        "xllamacpp": pinned("xllamacpp", "xllamacpp.lock"),
        "llama-server": f"of llama-cpp-python {pinned('llama-cpp-python', 'llama-server.txt')}",
        "transformers": pinned("transformers", "transformers.lock"),
        "vllm": pinned("vllm", "vllm.lock"),
        POOL: "",
    }
