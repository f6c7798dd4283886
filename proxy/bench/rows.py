"""The CSV of a benchmark: one row per measured request, the columns that the proxy's own CSV log has too.

Owns how a row is written and read back. What does not exist is blank, never zero; `success` is 0 or 1; `timestamp` is
ISO 8601, UTC, of the moment at which the request was meant to be sent. A row is on its way to the disk before the next
one is made, so that a killed run keeps its data.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import IO, Final, Self

from proxy.obs.csv_log import BENCHMARK, COLUMNS, text_cell

FILE: Final = "requests.csv"
"""Its name in the folder of a run."""
HEADER: Final = ",".join(BENCHMARK) + "\n"
_FORMULAS: Final = "=+-@"
_KNOWN: Final = frozenset(COLUMNS)
"""With the end-code of the proxy's own CSV log, which is read over."""


class BadRowsError(Exception):
    """A CSV that is none of a benchmark; the message begins with file and line."""


@dataclass(frozen=True, slots=True)
class Row:
    """One request. None: it does not exist, or nobody says it."""

    timestamp: str
    hardware: str
    model: str
    precision: str
    server: str
    concurrency: int | None
    """Requests at once: in a closed loop as asked for, else those under way when it was sent, itself included."""
    batch_window_ms: float | None
    """What the proxy was told to let requests wait for others, at most."""
    prompt_tokens: int | None
    output_tokens: int | None
    ttft_ms: float | None
    """From the intended start to the first token."""
    e2e_ms: float | None
    """From the intended start to the end, whatever it was."""
    tpot_ms: float | None
    """Mean per output token after the first."""
    success: bool
    gpu_alloc_gb: float | None = None
    gpu_reserved_gb: float | None = None

    def line(self) -> str:
        """As it stands in the file, with its end."""
        cells = (
            text_cell(self.timestamp),
            text_cell(self.hardware),
            text_cell(self.model),
            text_cell(self.precision),
            text_cell(self.server),
            _number(self.concurrency),
            _number(self.batch_window_ms),
            _number(self.prompt_tokens),
            _number(self.output_tokens),
            _number(self.ttft_ms),
            _number(self.e2e_ms),
            _number(self.tpot_ms),
            "1" if self.success else "0",
            _number(self.gpu_alloc_gb),
            _number(self.gpu_reserved_gb),
        )
        return ",".join(cells) + "\n"

    @property
    def at(self) -> float:
        """The timestamp, Unix seconds."""
        return datetime.fromisoformat(self.timestamp).timestamp()


def timestamp(at: float) -> str:
    """Unix seconds as ISO 8601 in UTC, milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class RowWriter:
    """Appends to a file, a line at a time. Raises OSError, such as for a full disk."""

    def __init__(self, path: Path) -> None:
        """A new or empty file gets its header; one that is there is gone on with."""
        self._file: IO[str] = path.open("a", encoding="utf-8", newline="")
        if not self._file.tell():
            self._file.write(HEADER)
            self._file.flush()

    def write(self, row: Row) -> None:
        """One row, out of this process before it returns."""
        self._file.write(row.line())
        self._file.flush()

    def close(self) -> None:
        """No more rows."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_rows(path: Path) -> list[Row]:
    """All rows, in order. A last line that was cut short, as by a kill, is left out. Raises BadRowsError."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(_rows(path, file))
    except OSError as error:
        raise BadRowsError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise BadRowsError(f"{path}: is not UTF-8") from None


def _rows(path: Path, file: IO[str]) -> Iterator[Row]:
    whole = _Whole(file)
    reader = csv.reader(whole, strict=True)
    header = _next(path, reader, whole)
    if header is None:
        raise BadRowsError(f"{path}:1: is empty; a CSV of a benchmark begins with {HEADER.strip()}")
    header[0] = header[0].lstrip("\ufeff")
    _check_header(path, header)
    while (cells := _next(path, reader, whole)) is not None:
        if not cells:
            continue
        if len(cells) != len(header):
            if whole.is_cut:
                return
            raise BadRowsError(f"{path}:{reader.line_num}: {len(cells)} cells instead of {len(header)}")
        yield _row(f"{path}:{reader.line_num}", dict(zip(header, cells, strict=True)))


class _Whole:
    """Lines of a file, which remembers whether the last one has no end."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.is_cut = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = next(self._file)
        self.is_cut = not line.endswith("\n")
        return line


def _next(path: Path, reader: Iterator[list[str]], whole: _Whole) -> list[str] | None:
    try:
        return next(reader, None)
    except csv.Error as error:
        if whole.is_cut:
            return None
        raise BadRowsError(f"{path}:{getattr(reader, 'line_num', 0)}: {error}") from None


def _check_header(path: Path, header: list[str]) -> None:
    unknown = [name for name in header if name not in _KNOWN]
    if unknown:
        raise BadRowsError(f"{path}:1: unknown column {unknown[0][:64]!r}; known: {', '.join(BENCHMARK)}")
    missing = [name for name in BENCHMARK if name not in header]
    if missing:
        raise BadRowsError(f"{path}:1: column {missing[0]!r} is missing; wanted: {', '.join(BENCHMARK)}")
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise BadRowsError(f"{path}:1: column {twice!r} is there twice")


def _row(where: str, cells: dict[str, str]) -> Row:
    moment = cells["timestamp"]
    if not _is_moment(moment):
        raise BadRowsError(f"{where}: timestamp {moment[:64]!r} is no ISO 8601 time with a zone")
    if cells["success"] not in ("0", "1"):
        raise BadRowsError(f"{where}: success {cells['success'][:64]!r} is neither 0 nor 1")
    return Row(
        timestamp=moment,
        hardware=_read_text(cells["hardware"]),
        model=_read_text(cells["model"]),
        precision=_read_text(cells["precision"]),
        server=_read_text(cells["server"]),
        concurrency=_count(where, cells, "concurrency"),
        batch_window_ms=_measure(where, cells, "batch_window_ms"),
        prompt_tokens=_count(where, cells, "prompt_tokens"),
        output_tokens=_count(where, cells, "output_tokens"),
        ttft_ms=_measure(where, cells, "ttft_ms"),
        e2e_ms=_measure(where, cells, "e2e_ms"),
        tpot_ms=_measure(where, cells, "tpot_ms"),
        success=cells["success"] == "1",
        gpu_alloc_gb=_measure(where, cells, "gpu_alloc_gb"),
        gpu_reserved_gb=_measure(where, cells, "gpu_reserved_gb"),
    )


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _count(where: str, cells: dict[str, str], name: str) -> int | None:
    text = cells[name]
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise BadRowsError(f"{where}: {name} {text[:64]!r} is not a whole number")
    return int(text)


def _measure(where: str, cells: dict[str, str], name: str) -> float | None:
    text = cells[name]
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not isfinite(value) or value < 0:
        raise BadRowsError(f"{where}: {name} {text[:64]!r} is not a number of at least 0")
    return value


def _read_text(cell: str) -> str:
    """Without the apostrophe that keeps spreadsheets from computing it."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] and cell[1] in _FORMULAS else cell


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.3f}"
