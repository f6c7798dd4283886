"""What an answer means of which the client has seen nothing yet."""

import asyncio
from time import monotonic
from typing import Any

import pytest

from proxy.config.backend import BackendOptions
from proxy.live import response_check as check
from proxy.live.relay import Relay
from proxy.live.upstream.backends import Upstream
from proxy.live.watch import Watch
from proxy.model.classes import StreamSettings
from proxy.model.endpoint import Endpoint
from proxy.model.faults import Blame, Kind, Retry, Source, upstream
from proxy.model.limits import UpstreamLimits
from proxy.model.request import Job
from proxy.model.timeline import Timeline
from proxy.wire.meter import Meter
from proxy.wire.plan import StreamPlan

MODEL_GONE = b'{"error": {"message": "model \'m\' not found, try pulling it first"}}'


def relay(status: int, body: bytes = b"{}", headers: list[tuple[bytes, bytes]] | None = None) -> Relay:
    plan, loop = StreamPlan(StreamSettings(), 1 << 20), asyncio.get_running_loop()
    answer = Relay("alpha", plan, 1 << 20, Timeline(0.0), Meter(), loop, monotonic)
    answer.on_head(status, headers or [], 0.0)
    answer.on_body(body, 0.0)
    answer.on_end()
    return answer


def stream_of(events: bytes) -> Relay:
    plan, loop = StreamPlan(StreamSettings(), 1 << 20), asyncio.get_running_loop()
    answer = Relay("alpha", plan, 1 << 20, Timeline(0.0), Meter(), loop, monotonic)
    answer.on_head(200, [(b"content-type", b"text/event-stream")], 0.0)
    answer.on_body(events, 0.0)
    return answer


def backend(*, has_key: bool = False, takes_any: bool = False, kind: str = "vllm") -> Upstream:
    key = {"api_key": "sk-operators"} if has_key else {}
    models = "any" if takes_any else ["m"]
    config = BackendOptions.model_validate(
        {"url": "http://127.0.0.1:1", "name": "alpha", "kind": kind, "models": models, **key}
    )
    loop = asyncio.get_running_loop()
    return Upstream(config, UpstreamLimits(), loop, Watch(loop, monotonic))


def verdict(status: int, body: bytes = b"{}", headers: list[tuple[bytes, bytes]] | None = None, **of: Any) -> Any:
    return check.checked(relay(status, body, headers), backend(**of), Endpoint.CHAT).fault


@pytest.mark.parametrize("status", [200, 201, 204, 400, 401, 403, 404, 405, 409, 413, 422, 451])
async def test_answers_are_the_clients(status: int) -> None:
    assert verdict(status) is None


@pytest.mark.parametrize("status", [429, 503, 529])
async def test_full_is_busy_and_says_when(status: int) -> None:
    fault = verdict(status, headers=[(b"Retry-After-Ms", b"1500")])
    assert (fault.kind, fault.retry, fault.retry_after_s) == (Kind.BUSY, Retry.SAFE, 1.5)


@pytest.mark.parametrize("status", [521, 522, 523, 525, 526])
async def test_what_a_front_could_not_reach_was_not_reached(status: int) -> None:
    assert verdict(status).kind is Kind.CONNECT


@pytest.mark.parametrize("status", [504, 524])
async def test_what_may_be_at_work_still_is_never_repeated(status: int) -> None:
    fault = verdict(status)
    assert not check.is_repeatable(fault, Endpoint.CHAT)


@pytest.mark.parametrize(("kind", "blame"), [("vllm", Blame.LIKELY), ("llama_cpp", Blame.UNPROVEN)])
@pytest.mark.parametrize("status", [424, 500, 505, 520])
async def test_a_failure_may_be_the_bodys(status: int, kind: str, blame: Blame) -> None:
    fault = verdict(status, kind=kind)
    assert (fault.kind, fault.blame) == (Kind.ERROR_STATUS, blame)
    assert check.is_repeatable(fault, Endpoint.CHAT)
    assert not check.is_repeatable(fault, Endpoint.RESPONSES)


@pytest.mark.parametrize("status", [401, 402, 403])
async def test_a_key_that_is_refused_is_whose_key_it_is(status: int) -> None:
    assert verdict(status) is None
    fault = verdict(status, has_key=True)
    assert (fault.kind, fault.blame) == (Kind.MISCONFIGURED, Blame.UNPROVEN)
    assert check.is_repeatable(fault, Endpoint.RESPONSES), "nothing was done with it"
    assert check.hides_its_words(fault, status)


@pytest.mark.parametrize(
    "body",
    [
        MODEL_GONE,
        b'{"object":"error","message":"The model `m` does not exist.","code":404}',
        b'{"error":{"code":"model_not_found"}}',
    ],
)
async def test_a_model_that_is_listed_and_missing_is_the_operators_fault(body: bytes) -> None:
    fault = verdict(404, body)
    assert fault.kind is Kind.MISCONFIGURED
    assert not check.hides_its_words(fault, 404)
    assert verdict(404, body, takes_any=True) is None, "where every name is sent, it is the client's"


async def test_a_route_that_is_missing_is_no_missing_model() -> None:
    assert verdict(404, b'{"detail":"Not Found"}') is None


async def test_the_limit_of_one_clients_key_is_nobody_elses() -> None:
    limited = [(b"x-ratelimit-remaining-requests", b"0"), (b"retry-after", b"20")]
    assert verdict(429, headers=limited).kind is Kind.CANNOT
    assert verdict(429, headers=limited, has_key=True).kind is Kind.BUSY


async def test_an_account_that_is_used_up_does_not_clear() -> None:
    body = b'{"error":{"code":"insufficient_quota"}}'
    assert verdict(429, body, has_key=True).kind is Kind.MISCONFIGURED
    assert verdict(429, body) is None


@pytest.mark.parametrize(
    ("status", "kind", "source"),
    [
        (400, Kind.INVALID, Source.DOWNSTREAM),
        (429, Kind.BUSY, Source.UPSTREAM),
        (503, Kind.BUSY, Source.UPSTREAM),
        (500, Kind.ERROR_STATUS, Source.UPSTREAM),
    ],
)
async def test_what_an_answer_that_is_passed_on_is_called(status: int, kind: Kind, source: Source) -> None:
    fault = check.fault_of_answer(relay(status))
    assert (fault.kind, fault.source) == (kind, source)


@pytest.mark.parametrize("endpoint", [Endpoint.OTHER, Endpoint.TOKENS])
async def test_only_who_tried_to_generate_is_to_blame(endpoint: Endpoint) -> None:
    fault = verdict(500)
    assert check.blamed_for(fault, endpoint).blame is Blame.UNPROVEN
    assert check.blamed_for(fault, Endpoint.CHAT).blame is Blame.LIKELY
    assert check.blamed_for(verdict(503), endpoint).blame is Blame.CERTAIN, "what is full is full for all"


async def test_a_400_about_the_operators_key_is_the_operators_fault() -> None:
    body = b'[{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}]'
    assert verdict(400, body) is None
    fault = verdict(400, body, has_key=True)
    assert fault.kind is Kind.MISCONFIGURED
    assert check.hides_its_words(fault, 400)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ('{"message": "Invalid API key: sk-12", "code": 401}', Kind.MISCONFIGURED),
        ('{"message": "Insufficient credits", "code": 402}', Kind.MISCONFIGURED),
        ('{"message": "API key not valid.", "code": 400}', Kind.MISCONFIGURED),
        ('{"message": "You exceeded", "code": 429, "type": "x", "param": "insufficient_quota"}', Kind.MISCONFIGURED),
        ('{"message": "slow down", "code": 429}', Kind.BUSY),
        ('{"message": "temperature", "code": 400}', Kind.INVALID),
        ('{"message": "boom", "code": 500}', Kind.STREAM_ERROR),
    ],
)
async def test_an_error_that_comes_first_in_a_stream_is_judged_as_its_status_is(error: str, kind: Kind) -> None:
    event = b'data: {"error": ' + error.encode() + b"}\n\n"
    fault = verdict(200, event, [(b"content-type", b"text/event-stream")], has_key=True)
    assert fault is not None
    assert fault.kind is kind


async def test_a_ruling_on_a_stream_that_is_an_error_says_what_it_stands_for_and_changes_nothing() -> None:
    answer = stream_of(b'data: {"error": {"message": "boom", "code": 500}}\n\n')
    ruling = check.checked(answer, backend(), Endpoint.CHAT)
    assert (ruling.status, ruling.error) == (500, b'{"error": {"message": "boom", "code": 500}}')
    assert ruling.fault is not None
    assert (answer.status, answer.complete, answer.stream is None) == (200, False, False)
    assert check.checked(answer, backend(), Endpoint.CHAT) == ruling, "asked twice, it says the same"


async def test_a_redirect_is_nobodys_answer() -> None:
    answer = relay(302)
    fault = check.checked(answer, backend(), Endpoint.CHAT).fault
    assert fault is not None
    assert (fault.kind, answer.complete) == (Kind.REDIRECT, True)
    assert check.hides_its_words(fault, 302)


async def test_a_reset_by_whoever_closes_probes_too_is_a_port_without_an_engine() -> None:
    for nobody, kind in ((False, Kind.RESET), (True, Kind.CONNECT)):
        answer, there = relay(200), backend()
        answer.fault = upstream(Kind.RESET, "closed")
        there.is_nobody(closes_probe=nobody)
        fault = check.checked(answer, there, Endpoint.CHAT).fault
        assert fault is not None
        assert fault.kind is kind


async def test_what_an_engine_lacks_is_told_from_its_refusal() -> None:
    body = b'{"error": {"message": "This model\'s maximum context length is 2048 tokens.", "code": 400}}'
    job = Job(1, "m", prompt_tokens=3000)
    lack = check.lack_of(relay(400, body), backend(), job)
    assert lack is not None
    assert check.fault_of_lack(lack, relay(400, body)).kind is Kind.CANNOT
    assert check.lack_of(relay(200), backend(), job) is None


async def test_a_page_for_browsers_is_no_answer_of_a_model() -> None:
    html = [(b"Content-Type", b"text/html; charset=utf-8")]
    for body, headers, endpoint, is_fault in (
        (b"<html>", html, Endpoint.CHAT, True),
        (b"<html>", html, Endpoint.TOKENS, False),
        (b"<html>", [(b"content-type", b"application/json")], Endpoint.CHAT, False),
        (b"{}", html, Endpoint.CHAT, False),
        (b"", html, Endpoint.CHAT, False),
    ):
        fault = check.checked(relay(200, body, headers), backend(), endpoint).fault
        assert (fault is not None and fault.kind is Kind.NONSENSE) is is_fault
