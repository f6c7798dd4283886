"""What a client of the demo sees of one stream."""

import pytest

from proxy.sim.http.traffic import Traffic, _backend, _Stream

LINES = (
    b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n',
    b"\n",
    b'data: {"choices":[{"delta":{"content":"a"}}]}\n',
    b'data: {"choices":[{"delta":{"content":"b"}}]}\n',
    b'data: {"choices":[{"delta":{"content":"c"}}]}\n',
    b'data: {"choices":[]}\n',
    b"data: [DONE]\n",
)


def test_only_content_counts_and_is_timed() -> None:
    stream = _Stream()
    for second, line in enumerate(LINES):
        stream.take(line, float(second))
    seen = stream.seen("chat", 0.5, "served", "chat-1")
    assert (seen.tokens, seen.ttft_s, seen.tpot_s) == (3, 1.5, 1.0)


def test_one_token_has_no_pace_and_none_no_first() -> None:
    assert _Stream().seen("chat", 0.0, "lost", "").ttft_s is None
    stream = _Stream()
    stream.take(LINES[2], 1.0)
    assert stream.seen("chat", 0.0, "served", "").tpot_s is None


def test_an_error_event_ends_it() -> None:
    with pytest.raises(ValueError, match="gone"):
        _Stream().take(b'data: {"error": "gone"}\n', 0.0)


def test_who_waits_is_known() -> None:
    traffic = Traffic("http://x/v1", "demo")
    first, second = _Stream(), _Stream(first=2.0)
    traffic._waiting = {first: ("chat", 1.0), second: ("chat", 1.0)}
    (one,) = traffic.waiting(4.0)
    assert (one.end, one.ttft_s) == ("waiting", 3.0)


@pytest.mark.parametrize(
    ("route", "backend"),
    [("backend=chat-1; class=interactive", "chat-1"), ("backend=none", ""), ("", ""), ("class=x", "")],
)
def test_who_answered(route: str, backend: str) -> None:
    assert _backend(route) == backend
