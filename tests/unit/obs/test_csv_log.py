"""Rows of CSV: the benchmark's columns, one line each whatever is in them, blanks for what is not there."""

import csv
import io
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.model.engine_facts import EngineFacts
from proxy.model.faults import Kind, downstream
from proxy.model.outcome import Phase, failed_with
from proxy.model.windows import Company
from proxy.obs.csv_log import COLUMNS, HEADER, CsvRows
from proxy.obs.record import Record
from proxy.wire.meter import Meter
from proxy.wire.usage import NO_USAGE
from tests.unit.obs.records import record, timeline

BENCHMARK = (
    "timestamp,hardware,model,precision,server,concurrency,batch_window_ms,prompt_tokens,output_tokens,ttft_ms,e2e_ms,"
    "tpot_ms,success,gpu_alloc_gb,gpu_reserved_gb"
)
ENDED = datetime(2026, 3, 1, 12, 0, 2, tzinfo=UTC).timestamp()


def read(told: Record, machines: dict[str, tuple[str, str]] | None = None) -> dict[str, str]:
    facts = {name: EngineFacts(hardware=one[0], precision=one[1]) for name, one in (machines or {}).items()}
    row = CsvRows(lambda name, _: facts.get(name, EngineFacts())).row(told, ENDED)
    assert row.count(b"\n") == 1
    assert row.endswith(b"\n")
    (cells,) = csv.reader(io.StringIO(row.decode(), newline=""), strict=True)
    return dict(zip(COLUMNS, cells, strict=True))


def test_the_columns_are_the_benchmarks_and_the_end_code() -> None:
    assert HEADER.decode() == BENCHMARK + ",end_code\n"


def test_a_served_stream() -> None:
    told = record(in_flight=3)
    assert read(told, {"alpha": ("2x L40S, 48 GB", "fp8")}) == {
        "timestamp": "2026-03-01T12:00:00.000Z",
        "hardware": "2x L40S, 48 GB",
        "model": "model",
        "precision": "fp8",
        "server": "alpha",
        "concurrency": "3",
        "batch_window_ms": "",
        "prompt_tokens": "25",
        "output_tokens": "8",
        "ttft_ms": "250.000",
        "e2e_ms": "2000.000",
        "tpot_ms": "235.714",
        "success": "1",
        "gpu_alloc_gb": "",
        "gpu_reserved_gb": "",
        "end_code": "--",
    }


def test_one_that_waited_in_a_window() -> None:
    told = record(timeline=timeline(gathered=100.001), company=Company(4, True))
    assert read(told)["batch_window_ms"] == "2.000"


def test_what_does_not_exist_is_blank_and_never_zero() -> None:
    outcome = failed_with(downstream(Kind.MALFORMED, "x"), Phase.READ)
    told = record(
        backend="", model_served="", outcome=outcome, usage=NO_USAGE, meter=Meter(), timeline=timeline(released=None)
    )
    row = read(told)
    assert {name for name, value in row.items() if value} == {"timestamp", "model", "e2e_ms", "success", "end_code"}
    assert (row["model"], row["success"], row["end_code"]) == ("alias", "0", "CR")


ODD = st.one_of(st.text(max_size=20), st.sampled_from(["=1+1", "+a", "-a", "@a", 'a"b', "a,b", "a\nb", "\r=1", "\t=1"]))


@given(ODD, ODD)
@example('=HYPERLINK("http://a","b")', "=cmd|' /C calc'!A0")
@example("a\r\nb", "\u202eabc")
@example("\ud800", "a\u2028b")
def test_one_row_of_cells_that_nothing_computes_whatever_the_names(model: str, server: str) -> None:
    row = read(record(model_served=model, model_asked="", backend=server))
    for cell in (row["model"], row["server"]):
        assert cell[:1] not in ("=", "+", "-", "@", "\t", "\r")
        assert cell.isprintable()
    if model.isprintable() and model[:1] not in ("=", "+", "-", "@"):
        assert row["model"] == model


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a"])
def test_what_looks_like_a_formula_is_text(text: str) -> None:
    row = read(record(model_served=text), {"alpha": (text, text)})
    assert (row["model"], row["hardware"], row["precision"]) == (f"'{text}",) * 3


def test_memory_of_cards_in_gigabytes() -> None:
    facts = EngineFacts(gpu_memory_b=12.5e9, gpu_reserved_b=70_003 * 2.0**20)
    row = CsvRows(lambda *_: facts).row(record(), 1000.0).decode().split(",")
    assert (row[-3], row[-2]) == ("12.500", "73.403")
