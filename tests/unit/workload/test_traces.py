"""Trace formats, the lines that break them, and what is done about those."""

import json
from pathlib import Path

import pytest

from proxy.obs.access_log import AccessLog, line_of
from proxy.workload.traces import MAX_BROKEN_SHOWN, TraceError, read_trace
from tests.unit.obs.records import record, timeline

MOONCAKE = '{"timestamp": %d, "input_length": %d, "output_length": 3, "hash_ids": [%s]}'


def written(tmp_path: Path, *lines: str, name: str = "trace.jsonl") -> Path:
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    return path


def test_mooncake_times_are_milliseconds_from_the_first(tmp_path: Path) -> None:
    path = written(tmp_path, MOONCAKE % (5000, 1000, "7, 8"), MOONCAKE % (7500, 10, ""))
    trace = read_trace(path)
    first, second = trace.arrivals
    assert (trace.form, first.at, second.at) == ("mooncake", 0.0, 2.5)
    assert (first.prompt_tokens, first.output_tokens, first.prefix_hashes) == (1000, 3, (7, 8))
    assert trace.rate_per_s == pytest.approx(2 / 2.5)


def test_azure_times_have_seven_digits_and_a_header(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "TIMESTAMP,ContextTokens,GeneratedTokens",
        "2023-11-16 18:17:03.9799600,4808,10",
        "2023-11-16 18:17:04.0319600,3180,8",
    )
    trace = read_trace(path)
    assert trace.form == "azure"
    assert [(a.prompt_tokens, a.output_tokens) for a in trace.arrivals] == [(4808, 10), (3180, 8)]
    assert trace.arrivals[1].at == pytest.approx(0.052, abs=1e-6)
    assert "prefixes" in trace.missing


def log_line(**more: object) -> str:
    fields = {
        "time": "2026-01-01T00:00:10.500Z",
        "outcome": "served",
        "model_asked": "m",
        "stream": True,
        "e2e_ms": 500.0,
        "prompt_tokens": 40,
        "completion_tokens": 5,
        "request_bytes": 170,
    }
    return json.dumps(fields | more)


def test_our_access_log_counts_from_when_the_request_came(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        log_line(),
        log_line(time="2026-01-01T00:00:10.400Z", e2e_ms=2400.0, **{"class": "bulk"}, tenant="t"),
        log_line(prompt_tokens=None, outcome="failed"),
        '{"time": "2026-01-01T00:00:11.000Z", "dropped_log_lines": 3}',
    )
    trace = read_trace(path)
    first, second = trace.arrivals
    assert trace.form == "access log"
    assert (first.at, first.traffic_class, first.tenant) == (0.0, "bulk", "t")
    assert second.at == pytest.approx(2.0)
    assert (second.model, second.prompt_tokens, second.output_tokens, second.body_bytes) == ("m", 40, 5, 170)
    assert "prefixes (log: {prefixes: true})" in trace.missing


def test_the_log_that_the_proxy_writes_is_read_back(tmp_path: Path) -> None:
    lines: list[bytes] = []
    log = AccessLog(line_of("json"), lines.append, lambda: 1_700_000_000.0, lambda: None)
    log.add(record(timeline=timeline(100.0, done=102.0)))
    log.add(record(timeline=timeline(100.0, done=100.5), traffic_class="bulk"))
    log.flush()
    path = tmp_path / "access.log"
    path.write_bytes(b"".join(lines))
    slow, quick = read_trace(path).arrivals
    assert (slow.at, quick.at) == (0.0, pytest.approx(1.5))
    assert (slow.prompt_tokens, slow.output_tokens, slow.body_bytes, slow.stream) == (25, 8, 321, True)
    assert (slow.traffic_class, quick.traffic_class, slow.model) == ("interactive", "bulk", "alias")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not a JSON object"),
        ("[1]", "not a JSON object"),
        ('{"timestamp": "x", "input_length": 1, "output_length": 1}', "timestamp is not a number"),
        ('{"timestamp": -1, "input_length": 1, "output_length": 1}', "timestamp is not a number"),
        ('{"timestamp": NaN, "input_length": 1, "output_length": 1}', "timestamp is not a number"),
        ('{"input_length": 1, "output_length": 1}', "timestamp is missing"),
        ('{"timestamp": 1, "output_length": 1}', "input_length is missing"),
        ('{"timestamp": 1, "input_length": 0, "output_length": 1}', "not between 1 and"),
        ('{"timestamp": 1, "input_length": 1.5, "output_length": 1}', "not a whole number"),
        ('{"timestamp": 1, "input_length": true, "output_length": 1}', "not a whole number"),
        ('{"timestamp": 1, "input_length": 99999999999, "output_length": 1}', "not between 1 and"),
        ('{"timestamp": 1, "input_length": 1, "output_length": 1, "hash_ids": ["a"]}', "hash_ids"),
        ('{"timestamp": 1, "input_length": 1, "output_length": 1, "hash_ids": 7}', "hash_ids"),
        ("[" * 100_000, "not a JSON object"),
        ("\udc80", "not a JSON object"),
    ],
)
def test_a_broken_line_stops_with_its_number_or_is_left_out(tmp_path: Path, line: str, why: str) -> None:
    path = tmp_path / "trace.jsonl"
    good = MOONCAKE % (0, 1, "")
    path.write_bytes("\n".join((good, "", line, good)).encode("utf-8", "surrogateescape"))
    with pytest.raises(TraceError, match=rf"trace\.jsonl:3: .*{why}.*--skip-broken"):
        read_trace(path)
    trace = read_trace(path, skip_broken=True)
    assert len(trace.arrivals) == 2
    assert [(broken.line, why in broken.why) for broken in trace.broken] == [(3, True)]


@pytest.mark.parametrize("row", ["2023-11-16 18:17:03,4808", "yesterday,1,1", "2023-11-16 18:17:03,x,1", "a,-1,1"])
def test_a_broken_row_of_a_csv(tmp_path: Path, row: str) -> None:
    path = written(tmp_path, "TIMESTAMP,ContextTokens,GeneratedTokens", "2023-11-16 18:17:03,1,1", row, name="t.csv")
    with pytest.raises(TraceError, match=r"t\.csv:3: "):
        read_trace(path)
    assert len(read_trace(path, skip_broken=True).arrivals) == 1


def test_a_flood_of_broken_lines_is_counted_and_not_listed(tmp_path: Path) -> None:
    path = written(tmp_path, MOONCAKE % (0, 1, ""), *["?"] * 500)
    trace = read_trace(path, skip_broken=True)
    assert (trace.left_out, len(trace.broken)) == (500, MAX_BROKEN_SHOWN)


@pytest.mark.parametrize("text", ["", "hello\n", '{"a": 1}\n', "a,b,c\n1,2,3\n"])
def test_what_nobody_knows_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "what"
    path.write_text(text)
    with pytest.raises(TraceError, match="what:1: "):
        read_trace(path)


def test_no_file_and_no_request(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="No such file"):
        read_trace(tmp_path / "nowhere")
    empty = written(tmp_path, "TIMESTAMP,ContextTokens,GeneratedTokens")
    with pytest.raises(TraceError, match="holds no request"):
        read_trace(empty)


def test_speed_limit_and_jitter(tmp_path: Path) -> None:
    path = written(tmp_path, *(MOONCAKE % (3000 * i, i + 1, "") for i in range(20)))
    assert [a.at for a in read_trace(path, limit=3, speed=1.5).arrivals] == [0.0, 2.0, 4.0]
    one, same, other = (read_trace(path, jitter_s=3.0, seed=seed).arrivals for seed in (1, 1, 2))
    assert one == same != other
    assert [a.at for a in one] == sorted(a.at for a in one)
    assert {a.prompt_tokens for a in one} == set(range(1, 21))
    assert all(abs(a.at - 3.0 * (a.prompt_tokens - 1)) <= 6.0 for a in one)
