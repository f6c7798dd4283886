"""Lines of an access log as calls: when each was sent, which cannot be learned from, and files that are none."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from proxy.bench.forecast.calls import CallsError, excluded, read_calls, split_by_time

LINE: dict[str, Any] = {
    "time": "2026-09-21T10:00:10.000Z", "outcome": "served", "backend": "gpu1", "attempts": 1, "stream": True,
    "queue_ms": 200.0, "window_ms": 50.0, "ttft_ms": 750.0, "tpot_ms": 10.0, "e2e_ms": 4000.0,
    "prompt_tokens": 1000, "completion_tokens": 101, "cached_tokens": 256, "model_served": "m",
}  # fmt: skip


def written(path: Path, *changes: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(LINE | change) + "\n" for change in changes))
    return path


def test_a_call_begins_when_it_leaves_the_queue(tmp_path: Path) -> None:
    (call,) = read_calls([written(tmp_path / "log", {})]).calls
    assert call.ttft_s == pytest.approx(0.5)
    assert call.e2e_s == pytest.approx(3.75)
    assert call.tpot_s == pytest.approx(0.0325)
    assert (call.computed, call.is_judged) == (744, True)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"attempts": 2}, "retried"),
        ({"hedge": "won"}, "hedged"),
        ({"batch": 4}, "merged"),
        ({"cache": "hit"}, "from the cache"),
        ({"outcome": "failed"}, "not served"),
        ({"backend": None}, "not sent to an engine"),
        ({"prompt_tokens": None}, "without usage"),
        ({"completion_tokens": 0}, "no answer generated"),
        ({"e2e_ms": None}, "without times"),
        ({"ttft_ms": 9000.0}, "times that cannot be"),
        ({"e2e_ms": "soon"}, "broken line (e2e_ms is not a number of at least 0)"),
    ],
)
def test_what_cannot_be_learned_from_is_counted(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    calls = read_calls([written(tmp_path / "log", {}, change)])
    assert len(calls.calls) == 1
    assert calls.left_out == {why: 1}
    assert why in excluded(calls)


def test_an_answer_in_one_piece_is_company(tmp_path: Path) -> None:
    whole = {"stream": False, "ttft_ms": None, "cached_tokens": None}
    calls = read_calls([written(tmp_path / "log", {}, whole)])
    assert sorted(call.is_judged for call in calls.calls) == [False, True]
    assert calls.without_cached == 1


def test_a_rotated_log_is_one(tmp_path: Path) -> None:
    old = tmp_path / "log.1.gz"
    old.write_bytes(gzip.compress((json.dumps(LINE | {"time": "2026-09-21T09:00:00Z"}) + "\n").encode()))
    calls = read_calls([written(tmp_path / "log", {}), old])
    assert len(calls.calls) == 2
    assert calls.calls[0].sent < calls.calls[1].sent


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("2026-09-21T10:00:10.000Z -- 200 POST /v1/chat/completions\n", "is no JSON; log: {format: json}"),
        (json.dumps(LINE | {"attempts": 3}) + "\n", "retried 1"),
    ],
)
def test_a_log_of_which_nothing_can_be_learned(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "log"
    path.write_text(text)
    with pytest.raises(CallsError, match=said.split("(", maxsplit=1)[0].replace("{", r"\{")):
        read_calls([path])


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CallsError, match="No such file"):
        read_calls([tmp_path / "none"])


def test_the_split_is_by_time(tmp_path: Path) -> None:
    times = [f"2026-09-21T10:00:{second:02d}Z" for second in (4, 5, 6, 7, 14)]
    calls = read_calls([written(tmp_path / "log", *({"time": time} for time in times))])
    fitted, held = split_by_time(reversed(calls.calls), 0.4)
    assert (len(fitted), len(held)) == (3, 2)
    assert max(call.sent for call in fitted) < min(call.sent for call in held)
