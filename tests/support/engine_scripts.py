"""Scripts any test may name in `x-fake`: the common ways an engine fails or dawdles. One small coroutine each."""

import asyncio

from tests.support.fake_backend import Exchange, Script
from tests.support.fake_engine import (
    DONE,
    chat_chunk,
    error_answer,
    event,
    json_answer,
    plain_answer_bytes,
    send_answer,
    stream_head,
    well_behaved,
)
from tests.support.http_bytes import LAST_CHUNK, chunk

FOREVER_S = 3600.0


async def hang(_: Exchange) -> None:
    """Never answers."""
    await asyncio.sleep(FOREVER_S)


async def slow(exchange: Exchange) -> None:
    """`slow SECONDS`: a good answer, later."""
    await asyncio.sleep(float(exchange.arguments[0]))
    await well_behaved(exchange)


async def slow_status(exchange: Exchange) -> None:
    """`slow-status SECONDS CODE …`: an OpenAI error, later."""
    await asyncio.sleep(float(exchange.arguments.pop(0)))
    await status(exchange)


async def slow_reset(exchange: Exchange) -> None:
    """`slow-reset SECONDS`: RST instead of an answer, later."""
    await asyncio.sleep(float(exchange.arguments[0]))
    exchange.reset()


async def status(exchange: Exchange) -> None:
    """`status 429 CODE [PARAM [HEADER=VALUE]…]`: an OpenAI error."""
    code, *rest = exchange.arguments
    error_code, param = [*rest[:2], None, None][:2]
    headers = [tuple(pair.split("=", 1)) for pair in rest[2:]]
    await send_answer(exchange, error_answer(int(code), error_code, param, [(name, value) for name, value in headers]))


async def reset(exchange: Exchange) -> None:
    """RST instead of an answer."""
    exchange.reset()


async def close(exchange: Exchange) -> None:
    """FIN instead of an answer."""
    exchange.close()


async def stream(exchange: Exchange) -> None:
    """`stream COUNT PAUSE_S`: a paced chat stream of `t0 t1 …`."""
    count, pause_s = int(exchange.arguments[0]), float(exchange.arguments[1])
    await begin_stream(exchange)
    for number in range(count):
        await asyncio.sleep(pause_s)
        await say(exchange, f"t{number} ")
    await end_stream(exchange)


async def stream_then(exchange: Exchange) -> None:
    """`stream-then COUNT hang|reset|close|end|error`: some events, then the end that is named."""
    count, ending = int(exchange.arguments[0]), exchange.arguments[1]
    await begin_stream(exchange)
    for number in range(count):
        await say(exchange, f"t{number} ")
    await _ENDINGS[ending](exchange)


async def body_then(exchange: Exchange) -> None:
    """`body-then hang|reset|close`: a Content-Length answer that stops in the middle of its body."""
    whole = plain_answer_bytes(json_answer({"choices": [], "padding": "x" * 400}))
    await exchange.send(whole[:-200])
    await _ENDINGS[exchange.arguments[0]](exchange)


async def redirect(exchange: Exchange) -> None:
    """`redirect URL`."""
    answer = json_answer({"moved": True}, 302, [("location", exchange.arguments[0])])
    await send_answer(exchange, answer)


async def begin_stream(exchange: Exchange) -> None:
    await exchange.send(stream_head() + chunk(event(chat_chunk({"role": "assistant", "content": ""}))))


async def say(exchange: Exchange, text: str) -> None:
    await exchange.send(chunk(event(chat_chunk({"content": text}))))


async def end_stream(exchange: Exchange) -> None:
    await exchange.send(chunk(event(chat_chunk({}, "stop"))) + chunk(DONE) + LAST_CHUNK)


async def _end_without_done(exchange: Exchange) -> None:
    await exchange.send(LAST_CHUNK)


async def _end_with_error(exchange: Exchange) -> None:
    error = {"error": {"message": "the engine broke", "type": "server_error", "param": None, "code": "broke"}}
    await exchange.send(chunk(event(error)) + LAST_CHUNK)


_ENDINGS: dict[str, Script] = {
    "hang": hang,
    "reset": reset,
    "close": close,
    "end": _end_without_done,
    "error": _end_with_error,
}

SCRIPTS: dict[str, Script] = {
    "hang": hang,
    "slow": slow,
    "slow-status": slow_status,
    "slow-reset": slow_reset,
    "status": status,
    "reset": reset,
    "close": close,
    "stream": stream,
    "stream-then": stream_then,
    "body-then": body_then,
    "redirect": redirect,
}


def except_for_probes(script: Script) -> Script:
    """`script` for every request but the proxy's own probes, which are answered well."""

    async def answer(exchange: Exchange) -> None:
        await (well_behaved if exchange.request.is_probe else script)(exchange)

    return answer


def raw(data: bytes, *, then: Script | None = None) -> Script:
    """A script that answers with these bytes, and then ends as `then` says."""

    async def answer(exchange: Exchange) -> None:
        await exchange.send(data)
        if then is not None:
            await then(exchange)

    return answer
