"""The live line of the demo."""

from proxy.sim.http.traffic import RECENT_S, Traffic, TrafficMeter


def test_the_line_before_anything_happened() -> None:
    assert "TTFT p50 / p99 - / - ms | 0 tokens/s" in TrafficMeter().line(100.0)


def test_the_line_counts_recent_chats_and_tokens_since_the_last_one() -> None:
    meter = TrafficMeter(chats=3, bulk=1, failed=0, tokens=100)
    meter.first_tokens.extend((100.0, i / 1000) for i in range(1, 101))
    meter.first_tokens.append((100.0 - RECENT_S, 9.0))
    meter.line(101.0)
    meter.tokens = 1500
    assert meter.line(103.0) == "3 chats, 1 bulk jobs, 0 failed | chat TTFT p50 / p99 50 / 99 ms | 700 tokens/s"


def test_the_line_says_how_often_the_promise_was_kept() -> None:
    meter = TrafficMeter(promised_s=0.2)
    meter.first_tokens.extend((100.0, seconds) for seconds in (0.1, 0.2, 0.201))
    assert meter.line(101.0).endswith(" | 2 of 3 within 200 ms")


def test_only_content_counts_and_the_first_of_it_is_timed() -> None:
    traffic = Traffic("http://x/v1", "demo")
    pieces: list[str] = []
    for line in (
        b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n',
        b"\n",
        b'data: {"choices":[{"delta":{"content":"a"}}]}\n',
        b'data: {"choices":[{"delta":{"content":"b"}}]}\n',
        b'data: {"choices":[]}\n',
        b"data: [DONE]\n",
    ):
        traffic._take(line, pieces, 0.0)
    assert pieces == ["a", "b"]
    assert (traffic.meter.tokens, len(traffic.meter.first_tokens)) == (2, 1)
