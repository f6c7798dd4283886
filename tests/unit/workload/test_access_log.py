"""Arrivals of our own log: who was refused, and how prompts begin."""

import json
from pathlib import Path

import pytest

from proxy.obs.prefix_digests import DIGEST_CHARS, KEY_B, PrefixDigests
from proxy.workload.access_log import prefix_of
from proxy.workload.trace_fields import BrokenLine
from proxy.workload.traces import Trace, read_trace

DIGESTS = PrefixDigests(b"k" * KEY_B)


def row(at: int = 0, tokens: int | None = 1000, output: int | None = 50, **more: object) -> dict[str, object]:
    return {
        "time": f"2026-01-01T00:00:{at:02}.000Z",
        "outcome": "served" if tokens else "shed",
        "class": "chat",
        "model_asked": "m",
        "stream": True,
        "e2e_ms": 0.0,
        "prompt_tokens": tokens,
        "completion_tokens": output,
        "request_bytes": 4000,
    } | more


def read(tmp_path: Path, *rows: dict[str, object]) -> Trace:
    path = tmp_path / "access.log"
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return read_trace(path)


def test_who_was_refused_is_as_large_as_its_body_says_and_answers_as_its_class_does(tmp_path: Path) -> None:
    refused = row(3, None, None, request_bytes=8000)
    bulk = row(2, output=900, **{"class": "bulk"})
    trace = read(tmp_path, row(0, output=40), row(1, output=60), bulk, refused)
    assert len(trace.arrivals) == 4
    last = trace.arrivals[-1]
    assert (last.prompt_tokens, last.output_tokens, last.body_bytes) == (2000, 50, 8000)
    assert any("1 refused" in what for what in trace.missing)


def test_where_nobody_was_served_or_sizes_are_not_told_nothing_is_made_up(tmp_path: Path) -> None:
    trace = read(tmp_path, row(0, request_bytes=None), row(1, None, None), row(2, None, None, request_bytes=None))
    assert len(trace.arrivals) == 1
    failed = read(tmp_path, row(0), row(1, None, None, outcome="failed"))
    assert len(failed.arrivals) == 1


def test_prompts_that_began_alike_do_so_again_and_hits_are_found_anew(tmp_path: Path) -> None:
    numbers = list(range(40))
    others = [*numbers[:9], *range(100, 131)]
    rows = [row(at, 5000, prefix=DIGESTS.of(one), request_bytes=20_480, cached_tokens=4000) for at, one in
            enumerate((numbers, others, numbers[:12]))]  # fmt: skip
    trace = read(tmp_path, *rows)
    whole, other, short = (one.prefix_hashes for one in trace.arrivals)
    assert (len(whole), len(other), len(short)) == (40, 40, 12)
    assert whole[:9] == other[:9]
    assert not set(whole[9:]) & set(other[9:])
    assert short == whole[:12]
    assert [one.cached_tokens for one in trace.arrivals] == [0, 0, 0]
    assert trace.block_tokens == 128
    assert trace.missing == ()


def test_blocks_are_so_many_tokens_as_the_language_makes_of_their_bytes(tmp_path: Path) -> None:
    trace = read(tmp_path, row(tokens=10_000, prefix=DIGESTS.of(range(40)), request_bytes=20_480))
    assert trace.block_tokens == 256


def test_a_beginning_is_taken_for_shared_up_to_the_border_before_it_ends() -> None:
    one, other = (prefix_of(DIGESTS.of([*range(19), *range(start, start + 21)])) for start in (100, 200))
    assert sum(a == b for a, b in zip(one, other, strict=True)) == 18


def test_the_first_digest_that_differs_ends_what_is_shared_whatever_stands_behind_it() -> None:
    one = DIGESTS.of(range(16))
    other = "AAAA" + one[DIGEST_CHARS:]
    assert not set(prefix_of(one)) & set(prefix_of(other))


@pytest.mark.parametrize("digests", ["abc", "a" * 5, "é123", "????", "ab=="])
def test_what_is_no_digest(digests: str) -> None:
    with pytest.raises(BrokenLine, match="not made of digests"):
        prefix_of(digests)


def test_lines_without_recorded_beginnings_say_so(tmp_path: Path) -> None:
    trace = read(tmp_path, row(cached_tokens=300))
    assert trace.arrivals[0].cached_tokens == 300
    assert "prefixes (log: {prefixes: true})" in trace.missing


def test_what_was_embedded_has_no_answer_and_lends_its_length_to_nobody(tmp_path: Path) -> None:
    embedded = row(0, 40, None, path="/v1/embeddings", request_bytes=160)
    refused = [row(2, None, None, path=path) for path in ("/v1/embeddings", "/v1/chat/completions")]
    trace = read(tmp_path, embedded, row(1, output=70), *refused)
    assert [one.output_tokens for one in trace.arrivals] == [0, 70, 0, 70]
    assert [one.stream for one in trace.arrivals] == [False, True, False, True]
