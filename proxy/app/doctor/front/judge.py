"""What the trials mean: what stands in front, and what to change there. Pure."""

from collections.abc import Iterator
from typing import Final

import orjson

from proxy.app.doctor.finding import Finding
from proxy.app.doctor.front import rules
from proxy.app.doctor.front.trials import (
    ANSWER_HEADERS,
    ASKED_HEADERS,
    EVENTS,
    KEY_HEADERS,
    PATH,
    PAUSE_S,
    RETRY_AFTER,
    Answer,
    Arrived,
    Trial,
    Walk,
)

_NONE: Final = Answer()
_TOLD_S: Final = 2.0
"""In which what stands in front must tell that a client left."""
_SPREAD_S: Final = 0.1
"""A stream of an engine that takes less tells nothing of gathering."""
_LEAST_ARRIVALS: Final = 6
_APART_S: Final = 0.003
_LONG_S: Final = 60.0
"""What most of those that stand in front cut after by default."""


def of_walk(walk: Walk) -> Iterator[Finding]:
    """What is found."""
    if walk.note:
        return (yield rules.NOT_HERE.found(walk.public, walk.note))
    stream = walk.answers.get(Trial.STREAM, _NONE)
    if not stream.status:
        return (yield rules.AWAY.found(walk.public, stream.error))
    found = list(_of_size(walk))
    found += _of_proxy(walk, stream) if walk.arrived is None else _of_standin(walk, walk.arrived, stream)
    yield from found


# --- the doctor answers


def _of_standin(walk: Walk, arrived: dict[Trial, list[Arrived]], stream: Answer) -> Iterator[Finding]:
    where = walk.public
    if Trial.STREAM not in arrived:
        text = f"it answers {stream.status}, and nothing arrives at {walk.listen}"
        if stream.status in (401, 403, 407):
            return (
                yield rules.REFUSES.found(where, f"it answers {stream.status} itself", "show its key: TIDEGATE_API_KEY")
            )
        return (yield rules.ELSEWHERE.found(where, text))
    came = arrived[Trial.STREAM][0]
    yield from _of_request(walk, arrived, came)
    if stream.status != 200:
        return (yield rules.REFUSES.found(where, f"it answers {stream.status} where the proxy said 200"))
    wrong = [*_of_stream(walk, stream), *_of_head(where, stream), *_of_error(walk), *_of_leaving(walk, arrived)]
    yield from wrong
    if not wrong:
        apart = f"{EVENTS} events {PAUSE_S:g} s apart came so"
        text = f"HTTP/{came.version}: {apart}; a silence of {walk.silence_s:g} s passed"
        yield rules.WELL.found(where, text, "" if walk.silence_s > _LONG_S else "longer ones: --silence 70s")


def _of_request(walk: Walk, arrived: dict[Trial, list[Arrived]], came: Arrived) -> Iterator[Finding]:
    where, said = walk.public, came.headers
    path = came.path.partition("?")[0]
    if path != PATH:
        yield rules.PATH.found(where, f"{PATH} arrives as {path[:80]}")
    if came.version == "1.0":
        yield rules.OLD_HTTP.found(where)
    elif "close" in said.get("connection", "").lower():
        yield rules.CLOSES.found(where)
    if "upgrade" in said.get("connection", "").lower():
        yield rules.UPGRADES.found(where)
    if walk.is_by_key and (eaten := [name for name in KEY_HEADERS if name not in said]):
        yield rules.EATS_KEY.found(where, f"{' and '.join(eaten)}: not there any more")
    if missing := [name for name in ASKED_HEADERS if name not in said]:
        yield rules.EATS_ASKED.found(where, f"{', '.join(missing)}: not there any more")
    elif "-stream" not in said["x-request-id"]:
        yield rules.EATS_ASKED.found(where, "x-request-id arrives as another one", rules.KEEP_ID)
    if again := [trial for trial, requests in arrived.items() if len(requests) > 1]:
        yield rules.REPEATS.found(where, f"a request ({again[0]}) arrived {len(arrived[again[0]])} times")


def _of_stream(walk: Walk, stream: Answer) -> Iterator[Finding]:
    where = walk.public
    pieces = stream.arrivals(PAUSE_S / 2)
    if pieces < EVENTS // 2:
        first = f"the first after {stream.events_at[0]:.1f} s" if stream.events_at else "none came"
        text = f"{EVENTS} events {PAUSE_S:g} s apart came in {pieces} pieces, {first}"
        yield rules.BUFFERS.found(where, text)
    yield from _of_packing(where, stream)
    if not stream.is_whole or b"[DONE]" not in stream.body:
        last = max(stream.events_at, default=0.0)
        text = f"it ends a stream after {max(0.0, stream.took_s - last):.1f} s of silence"
        yield rules.CUTS.found(where, text)


def _of_packing(where: str, stream: Answer) -> Iterator[Finding]:
    if packed := stream.headers.get("content-encoding", ""):
        yield rules.PACKS.found(where, f"streams come as {packed[:20]}")


def _of_head(where: str, stream: Answer) -> Iterator[Finding]:
    if missing := [name for name in ANSWER_HEADERS if name not in stream.headers]:
        yield rules.EATS_ANSWER.found(where, f"{', '.join(missing)}: not there any more")


def _of_error(walk: Walk) -> Iterator[Finding]:
    error = walk.answers.get(Trial.ERROR, _NONE)
    if not error.status:
        return
    if error.status != 503 or b'"doctor"' not in error.body:
        words = "with another body" if error.status == 503 else f"as {error.status}"
        yield rules.ERRORS.found(walk.public, f"a 503 of the proxy comes back {words}")
    elif error.headers.get("retry-after") != RETRY_AFTER:
        yield rules.ERRORS.found(walk.public, "a 503 comes back without its Retry-After")


def _of_leaving(walk: Walk, arrived: dict[Trial, list[Arrived]]) -> Iterator[Finding]:
    if Trial.LEAVE not in arrived or not walk.answers.get(Trial.LEAVE, _NONE).events_at:
        return
    if walk.left_after_s is None or walk.left_after_s > _TOLD_S:
        yield rules.HIDES.found(walk.public)


# --- whoever answers


def _of_size(walk: Walk) -> Iterator[Finding]:
    size, asked = walk.answers.get(Trial.SIZE, _NONE), walk.answers.get(Trial.CONTINUE, _NONE)
    if size.status == 413:
        text = f"it refuses bodies of {walk.body_b >> 20} MiB, which the proxy takes (limits.body.size)"
        yield rules.SIZE.found(walk.public, text)
    if asked.status == 417:
        yield rules.EXPECT.found(walk.public)
    elif asked.continued_s is None and _is_the_proxy_s(walk, asked):
        yield rules.WAITS.found(walk.public)


def _is_the_proxy_s(walk: Walk, asked: Answer) -> bool:
    """Whether it was answered behind what stands in front, not by that itself."""
    if walk.arrived is not None:
        return asked.status == 200
    return bool(asked.status) and asked.status == walk.direct.get(Trial.ERROR, _NONE).status


# --- the proxy answers


def _of_proxy(walk: Walk, stream: Answer) -> Iterator[Finding]:
    where, direct = walk.public, walk.direct.get(Trial.STREAM, _NONE)
    if direct.status == 401 and not walk.has_key:
        yield rules.NO_KEY.found(where)
    elif direct.status == 200 and stream.status in (401, 403):
        yield rules.EATS_KEY.found(where, f"the same key: 200 at {walk.listen}, {stream.status} here")
    elif direct.status != stream.status:
        text = f"it answers {stream.status}, the proxy itself {direct.status or direct.error}"
        yield rules.REFUSES.found(where, text)
    elif direct.status != 200 or not direct.events_at:
        yield rules.NO_STREAM.found(where, f"the proxy answers {direct.status}: {_message(direct)}")
    else:
        yield from _compared(where, direct, stream)
    yield from _of_other_head(where, direct, stream)
    yield from _of_other_error(where, walk.direct.get(Trial.ERROR, _NONE), walk.answers.get(Trial.ERROR, _NONE))


def _compared(where: str, direct: Answer, stream: Answer) -> Iterator[Finding]:
    """Two streams of the same engine."""
    yield from _of_packing(where, stream)
    spread_s = direct.events_at[-1] - direct.events_at[0]
    pieces, pieces_there = stream.arrivals(_APART_S), direct.arrivals(_APART_S)
    if spread_s < _SPREAD_S or pieces_there < _LEAST_ARRIVALS:
        yield rules.FAST.found(where)
    elif pieces < pieces_there / 3:
        first = f"the first after {stream.events_at[0]:.1f} s" if stream.events_at else "none came"
        text = f"its events came in {pieces} pieces, {first}; at the proxy itself in {pieces_there}"
        yield rules.BUFFERS.found(where, text)
    else:
        text = f"{len(stream.events_at)} events came in {pieces} pieces, at the proxy itself in {pieces_there}"
        yield rules.WELL.found(where, text, "for more, let the doctor answer itself: --listen")


def _of_other_head(where: str, direct: Answer, stream: Answer) -> Iterator[Finding]:
    names = [name for name in ANSWER_HEADERS if name in direct.headers and name not in stream.headers]
    if names and direct.status == stream.status:
        yield rules.EATS_ANSWER.found(where, f"{', '.join(names)}: not there any more")


def _of_other_error(where: str, direct: Answer, through: Answer) -> Iterator[Finding]:
    if not direct.status or not through.status or direct.status < 400:
        return
    if direct.status != through.status:
        text = f"an error {direct.status} of the proxy comes back as {through.status}"
        yield rules.ERRORS.found(where, text)
    elif _is_error(direct) and not _is_error(through):
        yield rules.ERRORS.found(where, f"an error {direct.status} of the proxy comes back with another body")


def _is_error(answer: Answer) -> bool:
    try:
        return "error" in orjson.loads(answer.body)
    except (orjson.JSONDecodeError, TypeError):
        return False


def _message(answer: Answer) -> str:
    try:
        return str(orjson.loads(answer.body)["error"]["message"])[:120]
    except (orjson.JSONDecodeError, TypeError, KeyError):
        return answer.error or "no event"
