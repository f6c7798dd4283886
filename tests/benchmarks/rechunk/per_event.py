"""Cost of streams: CPU µs per event that comes in, on one core. Run it: `python -m tests.benchmarks.rechunk.per_event`.

First a whole stream from the engine's chunk to the client's (`live.relay`), then re-chunking alone.
"""

import asyncio
import time
from collections.abc import Callable
from time import monotonic
from typing import Literal

from proxy.live.relay import Relay
from proxy.model.classes import StreamSettings
from proxy.model.timeline import Timeline
from proxy.wire.counting import Evidence
from proxy.wire.event import Event
from proxy.wire.meter import Meter
from proxy.wire.plan import StreamPlan
from proxy.wire.rechunk import TokenRechunker
from proxy.wire.rechunk_text import TextRechunker
from proxy.wire.tokens import Estimator, Tokenizer

_EVENTS = 20_000
_ROUNDS = 5
_WORDS = (" finally", " must", " cannot", "ange", " header", "tic", " the", ",", " of", "\\n")


def _event(text: str, extra: str = "", ids: str = "null") -> bytes:
    return (
        'data: {"id":"chatcmpl-abec6e41b850fa7e","object":"chat.completion.chunk","created":1795380176,"model":"tiny",'
        f'"choices":[{{"index":0,"delta":{{"content":"{text}"}},"logprobs":null,"finish_reason":null,"token_ids":{ids}'
        f'}}],"kv_transfer_params":null{extra}}}\n\n'
    ).encode()


def _usage(tokens: int) -> str:
    return f',"usage":{{"prompt_tokens":25,"total_tokens":{25 + tokens},"completion_tokens":{tokens}}}'


def _words(at: int, count: int) -> str:
    return "".join(_WORDS[(at + offset) % len(_WORDS)] for offset in range(count))


_STREAMS: dict[str, Callable[[int], bytes]] = {
    "1 token/event": lambda at: _event(_words(at, 1)),
    "1 token/event, token_ids": lambda at: _event(_words(at, 1), ids=f"[{at}]"),
    "1 token/event, continuous usage": lambda at: _event(_words(at, 1), extra=_usage(at + 1)),
    "4 tokens/event": lambda at: _event(_words(at * 4, 4)),
    "4 tokens/event, token_ids": lambda at: _event(_words(at * 4, 4), ids=f"[{at},1,2,3]"),
    "4 tokens/event, continuous usage": lambda at: _event(_words(at * 4, 4), extra=_usage(4 * at + 4)),
}


def _measure(make: Callable[[], TokenRechunker | TextRechunker], events: list[bytes]) -> tuple[float, int]:
    """(best µs per event, events that came out)."""
    best, came_out = float("inf"), 0
    for _ in range(_ROUNDS):
        feed = make().feed
        came_out = 0
        start = time.process_time()
        for event in events:
            came_out += len(feed(Event(event)))
        best = min(best, time.process_time() - start)
    return best / len(events) * 1e6, came_out


class _Client:
    """Takes everything."""

    def send(self, data: bytes) -> None:
        """Some bytes."""

    def send_chunk(self, data: bytes, chunk: bytes) -> None:
        """Some bytes with their framing."""


async def _streamed(events: list[bytes], granularity: Literal["engine", "token"], *, alone: bool) -> float:
    """Best µs per event of a stream whose engine says one token per event; `alone`: each event is read as one chunk."""
    best, loop = float("inf"), asyncio.get_running_loop()
    chunks = [b"%x\r\n%b\r\n" % (len(event), event) if alone else b"" for event in events]
    for _ in range(_ROUNDS):
        evidence = Evidence(Estimator(), one_token_per_event=True)
        plan = StreamPlan(StreamSettings(granularity=granularity), 1 << 20, evidence=evidence)
        relay = Relay("mock", plan, 1 << 20, Timeline(0.0), Meter(), loop, monotonic)
        relay.on_head(200, [(b"content-type", b"text/event-stream")], monotonic())
        relay.start(_Client())
        start = time.process_time()
        for event, chunk in zip(events, chunks, strict=True):
            if alone:
                relay.on_chunk(event, chunk, 0.0)
            else:  # cut in two: every step of the long way
                relay.on_body(event[:100], monotonic())
                relay.on_body(event[100:], monotonic())
        best = min(best, time.process_time() - start)
    return best / len(events) * 1e6


def _tokenizer() -> Tokenizer | None:
    from proxy.live.tokenizers import load_vocabulary

    return load_vocabulary("o200k_base")


def main() -> None:
    """Print a line per granularity, then one per kind of stream and evidence."""
    events = [_event(_words(at, 1)) for at in range(_EVENTS)]
    granularities: tuple[Literal["engine", "token"], ...] = ("engine", "token")
    for granularity in granularities:
        for alone in (True, False):
            cost = asyncio.run(_streamed(events, granularity, alone=alone))
            how = "an event, a chunk" if alone else "events cut in two"
            print(f"stream {granularity:6} {how:25} {len(events[0])} B  {cost:6.2f} µs/event")
    tokenizer = _tokenizer()
    for name, make in _STREAMS.items():
        events = [make(at) for at in range(_EVENTS)]
        for how, evidence in (
            ("engine says one", Evidence(Estimator(), one_token_per_event=True)),
            ("estimate", Evidence(Estimator())),
            ("tokenizer", Evidence(Estimator(), tokenizer)),
        ):
            if how == "tokenizer" and tokenizer is None:
                continue
            cost, out = _measure(lambda evidence=evidence: TokenRechunker(evidence), events)  # type: ignore[misc]
            print(f"token  {name:34} {how:16} {len(events[0])} B  {cost:6.2f} µs/event  {out / _EVENTS:.2f} out")
        cost, out = _measure(lambda: TextRechunker(Evidence(Estimator())), events)
        print(f"text   {name:34} {'estimate':16} {len(events[0])} B  {cost:6.2f} µs/event  {out / _EVENTS:.2f} out")


if __name__ == "__main__":
    main()
