"""The CSV of a benchmark: what is written comes back; blanks stay blanks; what is wrong is said with its place."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.bench.rows import HEADER, BadRowsError, Row, RowWriter, read_rows, timestamp
from tests.unit.bench.requests_made import AT, row

COLUMNS = (
    "timestamp,hardware,model,precision,server,concurrency,batch_window_ms,prompt_tokens,output_tokens,ttft_ms,e2e_ms,"
    "tpot_ms,success,gpu_alloc_gb,gpu_reserved_gb"
)
EMPTY = row(**dict.fromkeys(("hardware", "model", "precision", "server"), ""),
            **dict.fromkeys(("concurrency", "batch_window_ms", "prompt_tokens", "output_tokens", "ttft_ms", "e2e_ms",
                             "tpot_ms", "gpu_alloc_gb", "gpu_reserved_gb")), success=False)  # fmt: skip


def written(path: Path, *rows: Row) -> str:
    with RowWriter(path) as writer:
        for one in rows:
            writer.write(one)
    return path.read_text()


def test_exactly_these_columns_in_this_order(tmp_path: Path) -> None:
    assert written(tmp_path / "a.csv").splitlines() == [COLUMNS]
    assert HEADER == COLUMNS + "\n"


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    rows = [row(), EMPTY, row(model='a "b", c', hardware="=1+1", server="-x", concurrency=0, batch_window_ms=0.0)]
    written(tmp_path / "a.csv", *rows)
    assert read_rows(tmp_path / "a.csv") == rows


def test_what_does_not_exist_is_blank_and_never_zero(tmp_path: Path) -> None:
    line = written(tmp_path / "a.csv", EMPTY).splitlines()[1]
    assert line == "2026-03-01T12:00:00.250Z" + "," * 12 + "0,,"


def test_the_timestamp_is_iso_8601_in_utc() -> None:
    assert timestamp(AT) == "2026-03-01T12:00:00.250Z"
    assert row().at == AT


def test_each_row_is_in_the_file_before_the_next(tmp_path: Path) -> None:
    writer = RowWriter(tmp_path / "a.csv")
    writer.write(row())
    assert read_rows(tmp_path / "a.csv") == [row()]
    writer.close()


def test_a_file_is_gone_on_with(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", row())
    assert written(tmp_path / "a.csv", EMPTY).count("timestamp") == 1
    assert len(read_rows(tmp_path / "a.csv")) == 2


def test_the_proxys_own_log_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{COLUMNS},end_code\n{row().line().strip()},--\n")
    assert read_rows(path) == [row()]


def test_columns_may_stand_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    names = COLUMNS.split(",")[::-1]
    (cells,) = csv.reader([row().line()])
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, cells[::-1]])
    assert read_rows(path) == [row()]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ":1: is empty"),
        (COLUMNS + ",speed\n", ":1: unknown column 'speed'; known: timestamp"),
        (COLUMNS.replace(",ttft_ms", "") + "\n", ":1: column 'ttft_ms' is missing"),
        (COLUMNS + ",model\n", ":1: column 'model' is there twice"),
        (f"{COLUMNS}\n1,2\n", ":2: 2 cells instead of 15"),
        (HEADER + row().line() + row(timestamp="yesterday").line(), ":3: timestamp 'yesterday' is no ISO 8601 time"),
        (HEADER + row(timestamp="2026-03-01T12:00:00").line(), ":2: timestamp '2026-03-01T12:00:00' is no"),
        (HEADER + row().line().replace(",1,", ",yes,"), ":2: success 'yes' is neither 0 nor 1"),
        (HEADER + row().line().replace(",25,", ",2.5,"), ":2: prompt_tokens '2.5' is not a whole number"),
        (HEADER + row().line().replace("250.000", "-1"), ":2: ttft_ms '-1' is not a number of at least 0"),
        (HEADER + row().line().replace("250.000", "inf"), ":2: ttft_ms 'inf' is not a number"),
        (HEADER + 'a"b"c' + "\n", ":2: 1 cells instead of 15"),
        (HEADER + '"a' + "\n", ":2: unexpected end of data"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(BadRowsError) as refused:
        read_rows(path)
    assert str(refused.value).startswith(f"{path}{said}")


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(BadRowsError, match="No such file"):
        read_rows(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_bytes(HEADER.encode() + b"\xff\n")
    with pytest.raises(BadRowsError, match="is not UTF-8"):
        read_rows(tmp_path / "b.csv")


def test_a_last_line_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + row().line() + row().line()[:40])
    assert read_rows(path) == [row()]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20).filter(str.isprintable))
def test_any_name_comes_back(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    if name[:1] == "'":
        return  # an apostrophe of its own before a formula's sign cannot be told from ours
    path = tmp_path_factory.mktemp("rows") / "a.csv"
    written(path, row(model=name))
    assert [one.model for one in read_rows(path)] == [name]
