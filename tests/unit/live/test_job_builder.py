"""From a request to a job: promises of class and headers, deadlines, names, and nothing done that nobody looks at."""

import hashlib
from typing import Any, cast

import pytest

from proxy.config.plain import read
from proxy.core.retry.fallback_chain import FallbackChain
from proxy.core.tenancy.access import Patterns
from proxy.core.tenancy.classify import Classifier
from proxy.live.catalogue import ModelList
from proxy.live.job_builder import BuiltJob, JobBuilder
from proxy.model.classes import ClassSettings, with_built_in
from proxy.model.endpoint import ENDPOINTS, Endpoint
from proxy.model.faults import FaultError
from proxy.model.request import Request
from proxy.model.rules import RuleSettings
from proxy.model.windows import Window, Windows
from proxy.wire.headers import Head
from tests.unit.wire.asking import head_of

GOLD = {"name": "gold", "slo": {"preset": "chatbot", "deadline": "9s"}, "priority": 3, "demotable": True}
FIELDS = {"model": "m", "messages": [{"role": "user", "content": "a" * 2000}]}


def head_with(fields: dict[bytes, bytes]) -> Head:
    head = head_of()
    head.fields = fields
    return head


class OneModel:
    def only(self) -> str | None:
        return None

    def any_of(self, permitted: Patterns = None) -> str | None:
        return "any" if permitted is None else None


def taken(
    *, foresees: bool = True, rules: Any = (), headers: Any = None, fields: Any = None, **changes: Any
) -> BuiltJob:
    classes = with_built_in((read(ClassSettings, GOLD),))
    classifier = Classifier(classes, [read(RuleSettings, rule) for rule in rules], 2048)
    intake = JobBuilder(classifier, cast(ModelList, OneModel()), None, foresees=foresees)
    usual: dict[str, Any] = {"model": "m", "stream": True, "body_bytes": 2064, "json": True}
    request = Request("r", "POST", "/v1/chat/completions", Endpoint.CHAT, **{**usual, **changes})
    head = head_with(headers or {})
    return intake.take(head, request, FIELDS if fields is None else fields, 100.0)


def test_a_job_has_all_that_its_class_says() -> None:
    job = taken(traffic_class="gold", headers={b"authorization": b"Bearer k"}).job
    assert (job.arrived, job.traffic_class, job.priority, job.demotable, job.bulk) == (100.0, "gold", 3, True, False)
    assert (job.slo_ttft_s, job.slo_tpot_s, job.deadline) == (0.2, 0.25, 109.0)
    assert job.tenant == hashlib.sha256(b"k").hexdigest()[:8]
    assert job.prompt_tokens == 500
    assert len(job.prefix) == 3


def test_headers_override_the_class_and_the_soonest_deadline_counts() -> None:
    headers = {b"x-slo-ttft-ms": b"500", b"x-request-deadline-ms": b"20000"}
    job = taken(traffic_class="gold", headers=headers, client_timeout_s=15.0).job
    assert (job.slo_ttft_s, job.slo_tpot_s, job.deadline) == (0.5, 0.25, 115.0)
    assert taken(headers=headers, client_timeout_s=60.0).job.deadline == 120.0
    assert taken(client_timeout_s=60.0).job.deadline == 160.0
    assert taken().job.deadline is None


def test_rules_reach_the_job() -> None:
    job = taken(rules=[{"class": "bulk", "pool": "p", "prefer": ["x"]}]).job
    assert (job.traffic_class, job.bulk, job.require, job.prefer) == ("bulk", True, {"pool=p"}, {"x"})


def test_nothing_is_hashed_that_nobody_looks_at() -> None:
    assert taken(foresees=False).job.prefix == ()


def test_a_job_needs_a_model() -> None:
    with pytest.raises(FaultError) as caught:
        taken(model=None)
    assert caught.value.fault.param == "model"


def test_an_unknown_class_is_refused_by_name_even_where_a_rule_would_decide() -> None:
    with pytest.raises(FaultError) as caught:
        taken(traffic_class="golden", rules=[{"class": "bulk"}])
    assert caught.value.fault.param == "x-tidegate-class"
    assert "known: interactive, bulk, gold." in caught.value.fault.message


@pytest.mark.parametrize("endpoint", Endpoint)
def test_who_may_name_no_model_where_there_are_several(endpoint: Endpoint) -> None:
    classifier = Classifier(with_built_in(()), [], 2048)
    intake = JobBuilder(classifier, cast(ModelList, OneModel()), None, foresees=False)
    request = Request("r", "POST", "/v1/x", endpoint, None)
    head = head_with({})
    if ENDPOINTS[endpoint].names_model:
        with pytest.raises(FaultError, match="names no model"):
            intake.take(head, request, {}, 1.0)
    else:
        assert intake.take(head, request, {}, 1.0).job.model == "any"


def test_the_session_of_a_job() -> None:
    named = taken(headers={b"x-session-id": b"s"}).job.session
    assert len(named) == 16
    assert taken(fields={**FIELDS, "prompt_cache_key": "s"}).job.session == named
    assert taken().job.session == ""
    assert taken(headers={b"x-session-id": b"s"}, foresees=False).job.session == "", "nobody looks at it"


def test_how_long_it_may_wait_says_nothing_of_the_answer() -> None:
    job = taken(headers={b"x-llm-d-inference-ttl": b"1500ms"}, client_timeout_s=60.0).job
    assert job.deadline == 101.5
    assert job.done_by is None
    assert taken(headers={b"x-llm-d-inference-ttl": b"90s"}, client_timeout_s=60.0).job.deadline == 160.0


def embedding(settings: Any = None, *, keys: bool = True, **fields: Any) -> BuiltJob:
    """Of a request for a vector, with the windows that there are by default."""
    classes = with_built_in(() if settings is None else (read(ClassSettings, settings),))
    windows = Windows({name: entry.window for name, entry in classes.items()})
    builder = JobBuilder(
        Classifier(classes, [], 2048),
        cast(ModelList, OneModel()),
        None,
        windows=windows,
        foresees=True,
        shows_keys=keys,
    )
    key = fields.pop("key", b"Bearer k")
    endpoint, target = fields.pop("endpoint", Endpoint.EMBEDDINGS), fields.pop("target", "/v1/embeddings")
    stream = fields.get("stream", False)
    request = Request("r", "POST", target, endpoint, "m", stream=stream, body_bytes=60, json=True)
    headers = {b"authorization": key}
    head = head_with(headers)
    head.forward = list(headers.items())
    return builder.take(head, request, {"model": "m", **fields}, 100.0)


def test_requests_that_may_go_together_say_so() -> None:
    one, other = embedding(input="a"), embedding(input=["b", "c"])
    assert one.job.window == other.job.window is not None
    assert (one.job.items, other.job.items) == (1, 2)
    assert one.job.same != other.job.same
    assert embedding(input="a").job.same == one.job.same
    assert one.job.gather == Window(True, 0.01, 32, 8192)
    assert embedding(input="a", dimensions=4).job.window != one.job.window


def test_keys_that_engines_see_keep_requests_apart() -> None:
    assert embedding(input="a", key=b"Bearer x").job.window != embedding(input="a").job.window
    one, other = embedding(input="a", key=b"Bearer x", keys=False), embedding(input="a", keys=False)
    assert one.job.window == other.job.window
    assert one.job.same != other.job.same, "an answer is shared within a tenant"
    apart = {"name": "interactive", "window": {"across_tenants": False}}
    one, other = embedding(apart, input="a", key=b"Bearer x", keys=False), embedding(apart, input="a", keys=False)
    assert one.job.window != other.job.window


def test_what_is_off_costs_nothing() -> None:
    off = embedding({"name": "interactive", "window": "off"}, input="a")
    assert (off.job.gather, off.job.window, off.job.same, off.part) == (None, None, None, None)
    private = embedding({"name": "interactive", "window": {"share_identical": False}}, input="a").job
    assert private.same is None
    assert private.window is not None


def test_what_is_hedged_or_resumed_shares_nothing() -> None:
    hedged = embedding({"name": "interactive", "hedge": "p95"}, input="a").job
    assert (hedged.window, hedged.same) == (None, None)
    chat: dict[str, Any] = {"messages": [], "temperature": 0, "stream": True, "endpoint": Endpoint.CHAT, "target": "/c"}
    assert embedding(**chat).job.same is not None
    assert embedding({"name": "interactive", "stream": {"resume": True}}, **chat).job.same is None
    assert embedding(**{**chat, "temperature": 1}).job.same is None


def kept(pin: str = "a", endpoint: Endpoint = Endpoint.RESPONSES, **changes: Any) -> BuiltJob:
    """A turn of what backend `pin` keeps, of a class that has promises, a rule with a pool, and another pool to fall
    back to."""
    spare = {"name": "interactive", "slo": {"preset": "chatbot"}, "fallback": {"pool": "spare"}}
    classes = (read(ClassSettings, spare),)
    rules = [read(RuleSettings, {"pool": "main"})]
    builder = JobBuilder(
        Classifier(with_built_in(classes), rules, 2048),
        cast(ModelList, OneModel()),
        None,
        FallbackChain(classes),
        foresees=True,
    )
    head = head_with({})
    head.pin = pin
    fields = changes.pop("fields", {})
    request = Request("r", "POST", "/v1/responses", endpoint, **{"model": "m", "body_bytes": 64, **changes})
    return builder.take(head, request, fields, 100.0, b"", "usual")


def test_what_a_backend_keeps_is_asked_of_it_alone_whatever_rules_and_fallbacks_say() -> None:
    job = kept().job
    assert job.require == {"backend=a"}
    assert [(way.model, way.require) for way in job.fallbacks] == [("usual", {"backend=a"})], "what served it there"
    assert kept("").job.require >= {"pool=main"}
    assert len(kept("").job.fallbacks) == 1
    assert kept("a", Endpoint.CHAT).job.require == {"backend=a", "pool=main"}


def test_in_the_background_is_bulk_unless_its_header_says_otherwise() -> None:
    assert kept(fields={"background": True}).job.bulk
    assert not kept(fields={"background": True}, traffic_class="interactive").job.bulk
    assert not kept(fields={"background": "yes"}).job.bulk
    assert not kept(endpoint=Endpoint.CHAT, fields={"background": True}).job.bulk


def test_where_no_model_works_nothing_is_promised_and_what_is_kept_takes_no_permit() -> None:
    read_back, counted, asked = (kept(endpoint=e).job for e in (Endpoint.STORED, Endpoint.TOKENS, Endpoint.RESPONSES))
    assert (read_back.is_free, counted.is_free, asked.is_free) == (True, False, False)
    assert read_back.slo_ttft_s is counted.slo_ttft_s is None
    assert asked.slo_ttft_s == 0.2
    assert read_back.prompt_tokens == counted.prompt_tokens == 1
    assert not kept(endpoint=Endpoint.STORED, traffic_class="bulk").job.bulk


def test_the_model_of_what_is_kept_is_the_usual_one() -> None:
    assert kept(endpoint=Endpoint.STORED, model=None).job.model == "usual"
    assert kept().job.model == "m"
