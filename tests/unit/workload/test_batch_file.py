"""A batch's input file as a load: all of it at once, as bulk, those that begin alike together."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from proxy.workload.batch_file import arrival, is_line
from proxy.workload.trace_fields import BrokenLine
from proxy.workload.traces import read_trace


def line(number: int, text: str, url: str = "/v1/chat/completions", **more: Any) -> str:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **more}
    return json.dumps({"custom_id": f"c{number}", "method": "POST", "url": url, "body": body}) + "\n"


def test_what_a_line_asks() -> None:
    one = arrival(line(1, "x" * 4000, max_tokens=50))
    assert 990 < one.prompt_tokens < 1020
    assert (one.output_tokens, one.max_tokens, one.traffic_class, one.stream, one.model) == (50, 50, "bulk", False, "m")
    assert len(one.prefix_hashes) == 1
    assert arrival(line(1, "x")).output_tokens == 256
    assert arrival(line(1, "x", "/v1/embeddings")).output_tokens == 1
    assert is_line(json.loads(line(1, "x")))
    for wrong in ("{}", '{"body": 5}', "x"):
        with pytest.raises(BrokenLine):
            arrival(wrong)


def test_a_file_of_them_is_recognised_and_heads_stand_together(tmp_path: Path) -> None:
    file = tmp_path / "b.jsonl"
    file.write_text("".join(line(n, "abc"[n % 3] * 9000 + str(n)) for n in range(30)))
    trace = read_trace(file)
    assert (trace.form, len(trace.arrivals), trace.span_s) == ("batch", 30, 0.0)
    assert any("answers" in one for one in trace.missing)
    firsts = [one.prefix_hashes[0] for one in trace.arrivals]
    assert sum(a != b for a, b in pairwise(firsts)) == 2
