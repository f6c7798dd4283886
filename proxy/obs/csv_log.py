"""One row per request with the columns of the benchmark's CSV, and the end-code behind them.

Owns the columns, and what of a row is text: a comma or a quote is quoted, a line's end and its like are written as
escapes (a row is one line, whatever a client called its model), and what a spreadsheet would take for a formula gets an
apostrophe in front. A value that does not exist is blank, never zero.
"""

from collections.abc import Callable
from typing import Final

from proxy.model.engine_facts import EngineFacts
from proxy.model.outcome import Verdict
from proxy.model.timeline import Timeline
from proxy.obs.access_log import timestamp
from proxy.obs.record import Record

BENCHMARK: Final = (
    *("timestamp", "hardware", "model", "precision", "server", "concurrency", "batch_window_ms", "prompt_tokens"),
    *("output_tokens", "ttft_ms", "e2e_ms", "tpot_ms", "success", "gpu_alloc_gb", "gpu_reserved_gb"),
)
"""What `tidegate bench` writes of a request."""
COLUMNS: Final = (*BENCHMARK, "end_code")
HEADER: Final = ",".join(COLUMNS).encode() + b"\n"
_FORMULA: Final = "=+-@"
"""At the front of a text, spreadsheets compute what follows."""


class CsvRows:
    """Makes rows. `facts`: what is known of a backend's engine as it serves a model, when a request to it ends."""

    def __init__(self, facts: Callable[[str, str], EngineFacts]) -> None:
        self._facts = facts

    def row(self, record: Record, wall: float) -> bytes:
        """Of a request that ended at `wall`: its time stamp is that of its arrival."""
        line, meter, usage = record.timeline, record.meter, record.usage
        model = record.model_served or record.model_asked
        facts = self._facts(record.backend, model)
        e2e_ms = Timeline.span_ms(line.received, line.done)
        tpot_s = None if meter.first_token is None else meter.tpot_s(usage.completion_tokens)
        parts = (
            timestamp(wall - (e2e_ms or 0.0) / 1e3),
            text_cell(facts.hardware or facts.gpu),
            text_cell(model),
            text_cell(facts.precision),
            text_cell(record.backend),
            str(record.in_flight) if record.in_flight else "",
            _ms(Timeline.span_ms(line.gathered, line.released)),
            _count(usage.prompt_tokens),
            _count(usage.completion_tokens),
            _ms(Timeline.span_ms(line.received, meter.first_token)),
            _ms(e2e_ms),
            _ms(None if tpot_s is None else tpot_s * 1e3),
            "1" if record.outcome.verdict is Verdict.SERVED else "0",
            _gb(facts.gpu_memory_b),
            _gb(facts.gpu_reserved_b),
            record.outcome.end_code,
        )
        return (",".join(parts) + "\n").encode()


def _count(value: int | None) -> str:
    return "" if value is None else str(value)


def _gb(value_b: float | None) -> str:
    return "" if value_b is None else f"{value_b / 1e9:.3f}"


def _ms(value_ms: float | None) -> str:
    return "" if value_ms is None else f"{value_ms:.3f}"


def text_cell(value: str) -> str:
    """A text as one cell of a row."""
    if value.isalnum() and value.isascii():
        return value
    safe = "".join([one if one.isprintable() else ascii(one)[1:-1] for one in value])
    if safe[:1] and safe[0] in _FORMULA:
        safe = "'" + safe
    if '"' in safe or "," in safe:
        return '"' + safe.replace('"', '""') + '"'
    return safe
