"""Carries out the trials: through the public URL, before the doctor's own answers or, where the proxy runs, before its.

nobody listens    the doctor answers at `listen`: known events, a silence, an error; nothing reaches an engine
the proxy runs    one short stream of an engine through the public URL, and the same at `listen` to compare with
"""

import asyncio
import errno
import secrets
from collections.abc import Mapping
from typing import Final, NamedTuple

import orjson

from proxy.app.doctor.front.client import Question, ask, get
from proxy.app.doctor.front.standin import Standin, standing_in
from proxy.app.doctor.front.trials import PATH, PAUSE_S, SILENCE_S, Answer, Trial, Walk, body, headers
from proxy.app.doctor.names import Names
from proxy.config.address import Address, parse_address
from proxy.config.schema import Config
from proxy.config.server_tls import UnusableTlsError, server_context

KEY_VARIABLE: Final = "TIDEGATE_API_KEY"
_REST_S: Final = 5.5
"""Of a trial, beside the silence in it."""
_DIRECT_S: Final = 3.0
_HEARD_S: Final = 2.5
"""In which the stand-in must hear that a client left."""
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to be asked, not to be listened at
_WHOLE: Final = (Trial.STREAM, Trial.ERROR)


class Front(NamedTuple):
    """What the operator wants to be looked at."""

    public: str
    """URL by which clients reach the proxy."""
    silence_s: float = SILENCE_S
    model: str = ""
    """To be asked of a running proxy; empty: the first that it lists."""
    key: str = ""
    """Of a client; empty: none."""
    verifies: bool = True
    listen: str = ""
    """Where the doctor answers itself while the proxy runs; empty: at the proxy's own address, if that is free."""


async def walk(front: Front, config: Config, names: Names) -> Walk:
    """All trials."""
    at = parse_address(front.listen or config.listen)
    seen = Walk(
        front.public,
        str(at),
        {},
        silence_s=front.silence_s,
        body_b=config.limits.body.size,
        has_key=bool(front.key),
        is_by_key=config.auth.mode == "keys"
        or (config.auth.header is None and config.auth.forward_authorization is True),
    )
    mark = secrets.token_hex(16)
    try:
        tls = server_context(config.tls)
        async with standing_in(at, tls, mark, front.silence_s) as standin:
            return await _before_standin(front, seen, standin, mark, names)
    except UnusableTlsError as error:
        return seen._replace(note=f"tls.{error.option}: {error}")
    except OSError as error:
        if error.errno != errno.EADDRINUSE or front.listen:
            why = (error.strerror or str(error)).lower()
            return seen._replace(note=f"{at} cannot be listened at here ({why}): ask on the proxy's own machine")
    return await _before_proxy(front, seen, at, "https" if config.tls.cert else "http", mark, names)


async def _before_standin(front: Front, seen: Walk, standin: Standin, mark: str, names: Names) -> Walk:
    questions = {trial: _question(front, front.public, trial, mark, seen.body_b) for trial in Trial}
    answers = await asyncio.gather(*(ask(question, names) for question in questions.values()))
    for _ in range(int(_HEARD_S / PAUSE_S)):
        if standin.left_after_s is not None or Trial.LEAVE not in standin.arrived:
            break
        await asyncio.sleep(PAUSE_S)
    return seen._replace(
        answers=dict(zip(questions, answers, strict=True)),
        arrived=dict(standin.arrived),
        left_after_s=standin.left_after_s,
    )


async def _before_proxy(front: Front, seen: Walk, at: Address, scheme: str, mark: str, names: Names) -> Walk:
    own = f"{scheme}://{at._replace(host=_ANY.get(at.host, at.host))}"
    model = front.model or await _first_model(own, front.key, names)
    direct = {trial: await _asked(front, own, trial, mark, model, names) for trial in _WHOLE}
    sizes = (Trial.CONTINUE, Trial.SIZE)
    asked = (ask(_question(front, front.public, trial, mark, seen.body_b, model), names) for trial in sizes)
    answers = dict(zip(sizes, await asyncio.gather(*asked), strict=True))
    answers |= {trial: await _asked(front, front.public, trial, mark, model, names) for trial in _WHOLE}
    return seen._replace(direct=direct, answers=answers)


async def _asked(front: Front, url: str, trial: Trial, mark: str, model: str, names: Names) -> Answer:
    verifies = front.verifies and url == front.public
    question = _question(front, url, trial, mark, 0, model)._replace(within_s=_DIRECT_S, verifies=verifies)
    return await ask(question, names)


def _question(front: Front, url: str, trial: Trial, mark: str, most_b: int, model: str = "") -> Question:
    here = not model
    return Question(
        url=_target(url),
        headers=headers(trial, mark, front.key, is_answered_here=here),
        body=body(trial, mark, model),
        within_s=_REST_S + (front.silence_s if here and trial is Trial.STREAM else 0.0),
        asks_first=trial in (Trial.CONTINUE, Trial.SIZE),
        declares_b=most_b if trial is Trial.SIZE else 0,
        leaves=trial is Trial.LEAVE,
        verifies=front.verifies,
    )


def _target(url: str) -> str:
    """A base URL as SDKs are given it, with or without `/v1`."""
    return f"{url.rstrip('/').removesuffix('/v1')}{PATH}"


async def _first_model(own: str, key: str, names: Names) -> str:
    """That the running proxy lists."""
    said: Mapping[str, str] = {"authorization": f"Bearer {key}"} if key else {}
    answer = await get(f"{own}/v1/models", said, _DIRECT_S, names)
    try:
        listed = orjson.loads(answer.body)["data"]
        return str(listed[0]["id"])
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError):
        return "none"
