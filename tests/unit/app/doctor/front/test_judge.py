"""What trials through a public URL mean."""

import pytest

from proxy.app.doctor.front.judge import of_walk
from proxy.app.doctor.front.trials import ASKED_HEADERS, EVENTS, KEY_HEADERS, PATH, Answer, Arrived, Trial, Walk

HEADERS = {"x-request-id": "doctor-1-stream", "x-tidegate-route": "backend=doctor", "server-timing": "total;dur=1"}
AT = tuple(0.1 * number for number in range(EVENTS))
STREAM = Answer(200, HEADERS, b"data: [DONE]\n\n", AT, took_s=1.5, is_whole=True)
ERROR = Answer(503, {**HEADERS, "retry-after": "7"}, b'{"error":{"type":"doctor"}}', is_whole=True)
CAME = Arrived("1.1", PATH, dict.fromkeys(ASKED_HEADERS + KEY_HEADERS, "x") | {"x-request-id": "d-stream"}, 9)
GOOD = Walk(
    "http://a.example",
    "127.0.0.1:8080",
    {
        Trial.STREAM: STREAM,
        Trial.LEAVE: Answer(200, HEADERS, events_at=(0.1,)),
        Trial.ERROR: ERROR,
        Trial.CONTINUE: Answer(200, HEADERS, continued_s=0.01),
        Trial.SIZE: Answer(0, continued_s=0.01),
    },
    {trial: [CAME] for trial in (Trial.STREAM, Trial.LEAVE, Trial.ERROR, Trial.CONTINUE)},
    left_after_s=0.1,
)


def ids(walk: Walk) -> list[str]:
    found = list(of_walk(walk))
    assert all(one.where == walk.public for one in found)
    assert all(one.do for one in found if one.severity != "note")
    return [one.id for one in found]


def answering(trial: Trial, answer: Answer) -> Walk:
    return GOOD._replace(answers={**GOOD.answers, trial: answer})


def arriving(came: Arrived, times: int = 1) -> Walk:
    return GOOD._replace(arrived={**(GOOD.arrived or {}), Trial.STREAM: [came] * times})


def test_one_as_it_should_be() -> None:
    (found,) = of_walk(GOOD)
    assert (found.id, found.what) == (
        "front-seen",
        "HTTP/1.1: 12 events 0.1 s apart came so; a silence of 3 s passed",
    )
    assert "--silence 70s" in found.do
    assert not next(of_walk(GOOD._replace(silence_s=70.0))).do


@pytest.mark.parametrize(
    ("walk", "told"),
    [
        (answering(Trial.STREAM, STREAM._replace(events_at=(1.5,) * EVENTS)), "front-buffers"),
        (answering(Trial.STREAM, STREAM._replace(headers={**HEADERS, "content-encoding": "gzip"})), "front-packs"),
        (answering(Trial.STREAM, STREAM._replace(is_whole=False)), "front-cuts"),
        (answering(Trial.STREAM, STREAM._replace(body=b"data: 1\n\n")), "front-cuts"),
        (answering(Trial.STREAM, STREAM._replace(headers={})), "front-eats-answers"),
        (answering(Trial.STREAM, STREAM._replace(status=500)), "front-refuses"),
        (answering(Trial.STREAM, Answer(error="TLS: certificate has expired")), "front-away"),
        (answering(Trial.ERROR, ERROR._replace(status=502)), "front-replaces-errors"),
        (answering(Trial.ERROR, ERROR._replace(body=b"<html>")), "front-replaces-errors"),
        (answering(Trial.ERROR, ERROR._replace(headers=HEADERS)), "front-replaces-errors"),
        (answering(Trial.CONTINUE, Answer(417)), "front-expect"),
        (answering(Trial.CONTINUE, Answer(200)), "front-no-continue"),
        (answering(Trial.SIZE, Answer(413)), "front-size"),
        (arriving(CAME._replace(version="1.0")), "front-http-1.0"),
        (arriving(CAME._replace(headers={**CAME.headers, "connection": "close"})), "front-closes"),
        (arriving(CAME._replace(headers={**CAME.headers, "connection": "upgrade"})), "front-upgrades"),
        (arriving(CAME._replace(path="/chat/completions")), "front-path"),
        (arriving(CAME._replace(headers={"authorization": "x"})), "front-eats-key"),
        (arriving(CAME._replace(headers={})), "front-eats-headers"),
        (arriving(CAME, times=2), "front-repeats"),
        (GOOD._replace(left_after_s=None), "front-hides-leaving"),
        (GOOD._replace(left_after_s=2.1), "front-hides-leaving"),
        (GOOD._replace(arrived={}), "front-elsewhere"),
        (GOOD._replace(note="no"), "front-not-looked-at"),
    ],
)
def test_what_is_wrong_with_it(walk: Walk, told: str) -> None:
    assert told in ids(walk)


def test_keys_need_not_arrive_where_nobody_is_asked_for_one() -> None:
    eaten = CAME._replace(headers={name: value for name, value in CAME.headers.items() if name not in KEY_HEADERS})
    assert "front-eats-key" in ids(arriving(eaten))
    assert ids(arriving(eaten)._replace(is_by_key=False)) == ["front-seen"]


def test_who_refuses_before_anything_arrives() -> None:
    assert ids(answering(Trial.STREAM, Answer(401))._replace(arrived={})) == ["front-refuses"]


RUNNING = GOOD._replace(arrived=None, direct={Trial.STREAM: STREAM, Trial.ERROR: Answer(404, HEADERS, b'{"error":{}}')})


@pytest.mark.parametrize(
    ("direct", "through", "told"),
    [
        (STREAM, STREAM, "front-seen"),
        (STREAM, STREAM._replace(events_at=(1.5,) * EVENTS), "front-buffers"),
        (STREAM._replace(events_at=(0.1,) * EVENTS), STREAM, "front-too-fast"),
        (STREAM, Answer(401, HEADERS), "front-eats-key"),
        (STREAM, Answer(502, HEADERS), "front-refuses"),
        (Answer(401, HEADERS), Answer(401, HEADERS), "front-no-key"),
        (Answer(503, HEADERS, b'{"error":{"message":"no backend"}}'), Answer(503, HEADERS), "front-no-stream"),
        (STREAM, STREAM._replace(headers={}), "front-eats-answers"),
    ],
)
def test_a_running_proxy_is_compared_with(direct: Answer, through: Answer, told: str) -> None:
    answers = {Trial.STREAM: through, Trial.ERROR: Answer(404, HEADERS, b'{"error":{}}')}
    assert told in ids(RUNNING._replace(answers=answers, direct={**RUNNING.direct, Trial.STREAM: direct}))


def test_errors_of_a_running_proxy_that_are_replaced() -> None:
    for through in (Answer(200, HEADERS, b"sorry"), Answer(404, HEADERS, b"<html>")):
        answers = {Trial.STREAM: STREAM, Trial.ERROR: through}
        assert "front-replaces-errors" in ids(RUNNING._replace(answers=answers))
