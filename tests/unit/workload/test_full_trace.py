"""Our own trace format: all of a request in one line, and a sentence with the line for all that is wrong."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from proxy.workload.arrival import Arrival, Slo
from proxy.workload.traces import TraceError, read_trace

HEADER = {"tidegate_trace": 1, "block_tokens": 64, "classes": ["interactive", "bulk"], "tenants": ["a", "b"]}
LINE = {"at": 1.0, "prompt_tokens": 130, "output_tokens": 8}
FULL = {
    "at": 3.5, "prompt_tokens": 130, "output_tokens": 8, "prefix": [7, 8, 9], "tenant": "a", "class": "bulk",
    "model": "m", "stream": False, "max_tokens": 9, "body_bytes": 700, "patience_s": 4, "ttft_s": 0.5, "tpot_s": 0.1,
    "e2e_s": 60,
}  # fmt: skip


def written(path: Path, *rows: Any, pack: bool = False) -> Path:
    data = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows).encode()
    path.write_bytes(gzip.compress(data) if pack else data)
    return path


@pytest.mark.parametrize("pack", [False, True])
def test_everything_that_a_request_is_known_by(tmp_path: Path, pack: bool) -> None:
    trace = read_trace(written(tmp_path / "t", HEADER, LINE, FULL, pack=pack))
    assert (trace.form, trace.block_tokens, trace.missing) == ("tidegate trace", 64, ())
    assert trace.arrivals == [
        Arrival(0.0, 130, 8, model=""),
        Arrival(2.5, 130, 8, (7, 8, 9), "m", 4.0, "bulk", "a", 9, 700, stream=False, slo=Slo(0.5, 0.1, 60.0)),
    ]


def test_a_header_need_not_say_more_than_that_it_is_one(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path / "t", {"tidegate_trace": 1}, LINE | {"class": "any", "tenant": "x"}))
    assert trace.block_tokens == 512
    assert trace.arrivals[0].traffic_class == "any"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"at": -1}, "at is not a number of at least 0"),
        ('{"at": NaN, "prompt_tokens": 1, "output_tokens": 1}', "at is not a number"),
        ('{"at": Infinity, "prompt_tokens": 1, "output_tokens": 1}', "at is not a number"),
        ({"prompt_tokens": 0}, "not between 1"),
        ({"output_tokens": None}, "not a whole number"),
        ({"class": "batch"}, "class 'batch' is none of those that the header names: bulk, interactive"),
        ({"tenant": "c"}, "tenant 'c' is none of those"),
        ({"tenant": 3}, "tenant is not text"),
        ({"prefix": [1.5]}, "prefix is not a list of whole numbers"),
        ({"prefix": [1, 2, 3, 4]}, "prefix holds 4 blocks, more than its 130 tokens"),
        ({"stream": 1}, "stream is neither true nor false"),
        ({"ttft_s": 0}, "ttft_s is 0"),
        ({"tpot_s": -1}, "tpot_s is not a number of at least 0"),
        ({"patience_s": "x"}, "patience_s is not a number"),
        ({"promt_tokens": 3}, "'promt_tokens' is unknown; known: at, body_bytes"),
        ("[1]", "not a JSON object"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, row: Any, why: str) -> None:
    path = written(tmp_path / "t.jsonl", HEADER, LINE, row if isinstance(row, str) else LINE | row)
    with pytest.raises(TraceError, match=rf"t\.jsonl:3: .*{why}"):
        read_trace(path)
    assert len(read_trace(path, skip_broken=True).arrivals) == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"tidegate_trace": 2}, "tidegate_trace is not 1"),
        ({"tidegate_trace": True}, "tidegate_trace is not 1"),
        ({"block_tokens": 24}, "multiple of 16"),
        ({"block_tokens": 0}, "not between 16"),
        ({"classes": "bulk"}, "classes is not a list of names"),
        ({"block": 1}, "'block' is unknown"),
    ],
)
def test_a_wrong_header_is_named(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    with pytest.raises(TraceError, match=rf"t:1: .*{why}"):
        read_trace(written(tmp_path / "t", HEADER | change, LINE))


def test_a_header_alone_holds_no_request(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="holds no request"):
        read_trace(written(tmp_path / "t", HEADER))


@pytest.mark.parametrize("damage", ["cut", "flipped", "not gzip"])
def test_a_packed_file_that_is_damaged_is_named_with_its_line(tmp_path: Path, damage: str) -> None:
    rows = [HEADER, *(LINE | {"at": n, "prompt_tokens": 1 + n * 7919 % 4001} for n in range(5000))]
    path = written(tmp_path / "t.gz", *rows, pack=True)
    data = bytearray(path.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "flipped":
        data[len(data) // 2] ^= 0xFF
        data[len(data) // 2 + 1] ^= 0xFF
    else:
        data = bytearray(b"\x1f\x8bnothing of the kind")
    path.write_bytes(data)
    with pytest.raises(TraceError, match=r"t\.gz:\d+: "):
        read_trace(path)


def test_other_formats_may_be_packed_too(tmp_path: Path) -> None:
    row = {"timestamp": 0, "input_length": 5, "output_length": 1, "hash_ids": [1]}
    assert read_trace(written(tmp_path / "m.jsonl.gz", row, pack=True)).form == "mooncake"
    azure = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,4,5"
    assert read_trace(written(tmp_path / "a.csv.gz", azure, pack=True)).form == "azure"
