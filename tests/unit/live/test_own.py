"""What the proxy answers itself."""

import asyncio
from typing import Any, cast

import orjson
import pytest

from proxy import __version__
from proxy.config.schema import Config
from proxy.live.catalogue import ModelList
from proxy.live.own import OwnAnswers
from proxy.live.upstream import backends
from proxy.live.watch import Watch
from proxy.model.faults import FaultError, Kind


class Models:
    """A list with one model in it."""

    def render(self, permitted: Any) -> bytes:
        return b"all"

    def find(self, item: str, permitted: Any) -> bytes | None:
        return b"one" if item == "m" else None


def own(reason: str | None = None, *answers: bool) -> OwnAnswers:
    loop = asyncio.get_running_loop()
    entries = [{"url": f"http://127.0.0.1:{9 + number}"} for number in range(max(1, len(answers)))]
    made = list(backends.build(Config.model_validate({"version": 1, "backends": entries}), loop, Watch(loop)).values())
    for backend, answered in zip(made, answers, strict=False):
        backend.answers = answered
    return OwnAnswers(cast(ModelList, Models()), made, lambda: reason)


async def test_models_by_list_and_by_name() -> None:
    assert own().models("", ()).body == b"all"
    assert own().models("m", ()).body == b"one"
    with pytest.raises(FaultError) as raised:
        own().models("x" * 100, ())
    assert raised.value.fault.kind is Kind.MODEL_NOT_FOUND
    assert "x" * 65 not in raised.value.fault.message


@pytest.mark.parametrize(
    ("reason", "answers", "status", "said"),
    [
        (None, (False, True), 200, "ok"),
        (None, (False, False), 503, "no backend answers"),
        ("draining", (True,), 503, "draining"),
    ],
)
async def test_health_is_whether_requests_may_come(
    reason: str | None, answers: tuple[bool, ...], status: int, said: str
) -> None:
    answer = own(reason, *answers).health("")
    assert (answer.status, orjson.loads(answer.body)["status"]) == (status, said)
    assert ((b"retry-after", b"5") in answer.headers) == (status == 503)


async def test_the_version() -> None:
    assert orjson.loads(own().health("version").body) == {"version": __version__}
