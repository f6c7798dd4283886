"""What the proxy answers itself."""

import asyncio
from time import monotonic
from typing import Any, cast

import orjson
import pytest

from proxy import __version__
from proxy.config.schema import Config
from proxy.engines.registry import DIALECTS
from proxy.live.catalogue import ModelList
from proxy.live.own import OwnAnswers
from proxy.live.timings import Timings
from proxy.live.upstream import backends
from proxy.live.watch import Watch
from proxy.model.faults import FaultError, Kind
from proxy.model.timings import TimingSettings
from proxy.obs.stage_metrics import StageMetrics
from proxy.wire.cors import Cors
from proxy.wire.routes import route
from tests.unit.wire.asking import head_of


class Models:
    """A list with one model in it."""

    def render(self, permitted: Any) -> bytes:
        return b"all"

    def find(self, item: str, permitted: Any) -> bytes | None:
        return b"one" if item == "m" else None


def own(reason: str | None = None, *answers: bool) -> OwnAnswers:
    loop = asyncio.get_running_loop()
    entries = [{"url": f"http://127.0.0.1:{9 + number}"} for number in range(max(1, len(answers)))]
    config = Config.model_validate({"version": 1, "backends": entries})
    made = list(backends.build(config, loop, Watch(loop, monotonic)).values())
    for backend, answered in zip(made, answers, strict=False):
        backend.answers = answered
    models = cast(ModelList, Models())
    timings = Timings(TimingSettings(), StageMetrics(), monotonic)
    return OwnAnswers(models, lambda head: None, made, lambda: reason, Cors(("https://a.example",), 60.0), timings)


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [
        (b"/v1/models", 200, b"all"),
        (b"/v1/models/m", 200, b"one"),
        (b"/health", 503, None),
        (b"/v1/completions", 0, None),
    ],
)
async def test_only_what_needs_no_engine_is_answered(target: bytes, status: int, body: bytes | None) -> None:
    said = own("starting").to(head_of(method=b"GET", target=target), route(target), b"")
    assert (said.status if said is not None else 0) == status
    assert body is None or (said is not None and said.body == body)


async def test_where_the_time_of_an_unknown_request_went_is_told_nobody() -> None:
    with pytest.raises(FaultError) as raised:
        target = b"/v1/tidegate/requests/req-1"
        own().to(head_of(method=b"GET", target=target), route(target), b"")
    assert raised.value.fault.code == "request_not_found"


async def test_options_name_the_methods_and_permit_a_page_of_a_known_origin() -> None:
    asks = (b"Access-Control-Request-Headers", b"authorization")
    plain = own().options(head_of(method=b"OPTIONS"))
    page = own().options(head_of((b"Origin", b"https://a.example"), asks, method=b"OPTIONS"))
    assert (plain.status, plain.headers, plain.body) == (204, [(b"allow", b"GET, POST, OPTIONS")], b"")
    assert (b"access-control-allow-headers", b"authorization") in page.headers


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


@pytest.mark.parametrize(
    ("kind", "reason", "answers", "status", "body"),
    [
        ("ollama", None, True, 200, b"Ollama is running"),
        ("tgi", None, True, 200, b""),
        ("ollama", None, False, 503, None),
        ("ollama", "draining", True, 503, None),
    ],
)
async def test_what_is_said_at_the_root(kind: str, reason: str | None, answers: bool, status: int, body: Any) -> None:
    ours = own(reason, answers)
    ours._backends[0].dialect = DIALECTS[kind]
    for method in (b"GET", b"HEAD"):
        said = ours.to(head_of(method=method, target=b"/"), route(b"/"), b"")
        assert said is not None
        assert said.status == status
        assert body is None or said.body == body
    assert ours.to(head_of(target=b"/"), route(b"/"), b"") is None, "a POST is for an engine"
