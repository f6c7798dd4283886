"""Where measured numbers go: printed, and a row each in results.csv beside this file."""

import csv
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent


def note(what: str, n: int, **numbers: float) -> None:
    """A row for each number."""
    file = HERE / "results.csv"
    is_new = not file.exists()
    with file.open("a", newline="") as out:
        writer = csv.writer(out)
        if is_new:
            writer.writerow(["time", "machine", "measured", "n", "number", "value"])
        machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, uncompiled"
        for name, value in numbers.items():
            print(f"{what}: {name} = {value:.4g} (n={n})", flush=True)
            writer.writerow([datetime.now(UTC).strftime("%FT%TZ"), machine, what, n, name, f"{value:.4g}"])
