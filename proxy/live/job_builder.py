"""From an understood request to a job: whose it is, its class, its promises, its prompt's prefix.

Owns the order of these steps; requests on the data port and questions of `/explain` go through the same ones.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from proxy.core.fleet.catalogue import shown_name
from proxy.core.retry.fallback_chain import FallbackChain, Spellings, no_others, where_it_was
from proxy.core.tenancy.access import Patterns, Permitted, may_use
from proxy.core.tenancy.classify import Classified, Classifier, RequestTraits, TrafficClass
from proxy.live.catalogue import ModelList
from proxy.live.prompts import First, Prompts, Said
from proxy.model.abilities import NOTHING_NEEDED
from proxy.model.classes import BULK_CLASS, NOTHING_PROMISED, Promise
from proxy.model.endpoint import ENDPOINTS, ROUTE_LABEL, SOMEWHERE, Api, Endpoint
from proxy.model.faults import Fault, FaultError, Kind, downstream
from proxy.model.prompts import NO_EDITS
from proxy.model.request import Job, Request
from proxy.model.rules import BACKEND_LABEL
from proxy.model.windows import Window, Windows
from proxy.wire import batching, identity, needs, one_model, prompt
from proxy.wire import body as bodies
from proxy.wire.batching import Part, Who
from proxy.wire.headers import Head
from proxy.wire.prompt import RequestHints
from proxy.wire.prompts.template import Template


@dataclass(slots=True, init=False)
class BuiltJob:
    """A job, and how it came to be one."""

    job: Job
    classified: Classified
    asked: RequestTraits
    promise: Promise
    """Of the class, or of the request's own headers."""
    request: Request
    """As an engine gets it,"""
    body: bytes
    """with its body."""
    said: Said = ()
    """Headers of the answer: what was done to the prompt."""
    first: First | None = None
    """Its answer is short at first."""
    part: Part | None = None
    """What it adds to a call of several."""

    def __init__(
        self,
        job: Job,
        classified: Classified,
        asked: RequestTraits,
        promise: Promise,
        request: Request,
        body: bytes,
        said: Said = (),
        first: First | None = None,
        part: Part | None = None,
    ) -> None:
        self.job = job
        self.classified = classified
        self.asked = asked
        self.promise = promise
        self.request = request
        self.body = body
        self.said = said
        self.first = first
        self.part = part


class JobBuilder:
    """One per configuration."""

    def __init__(
        self,
        classifier: Classifier,
        models: ModelList,
        default_model: str | None,
        fallbacks: FallbackChain | None = None,
        permitted: Permitted | None = None,
        spellings: Spellings = no_others,
        windows: Windows | None = None,
        prompts: Prompts | None = None,
        *,
        foresees: bool,
        shows_keys: bool = True,
        ids: "itertools.count[int] | None" = None,
    ) -> None:
        """`shows_keys`: engines see the keys of clients, which are no operator's. `ids`: of jobs, where others make
        some too."""
        self._classifier = classifier
        self._models = models
        self._default_model = default_model
        self._ways = fallbacks or FallbackChain()
        self._permitted = permitted or Permitted()
        self._spellings = spellings
        """Of one model, where engines take several."""
        self._windows = windows
        self._shows_keys = shows_keys
        self.prompts = prompts or Prompts()
        """What is done to them."""
        self.foresees = foresees
        """Whether anybody looks at predictions; else nothing is told that only they need."""
        self._ids = ids or itertools.count(1)

    def take(
        self, head: Head, request: Request, fields: dict[str, Any], received: float, body: bytes = b"", usual: str = ""
    ) -> BuiltJob:
        """The job of a request whose last byte came at `received`. FaultError for what cannot be meant. What is done to
        its prompt is done to `fields` too. `usual`: the model where it names none, or names one that is not there
        where it has to go."""
        template: Template | None = None
        tenant = identity.tenant(head)
        if self.prompts.named is not None and not request.expands:
            request, body, template = self.prompts.assembled(head.fields, tenant, request, fields, body)
        patterns = self._permitted.of(tenant)
        model = request.model or usual or self._model(request, patterns)
        also = self._spellings(model)
        if patterns is not None:
            one_model.check(fields, body)
            if not may_use(patterns, model, also):
                raise FaultError(no_such_model(model))
        hints = prompt.hints(head.fields)
        asked = RequestTraits(
            str(request.endpoint),
            model,
            tenant,
            request.stream,
            self._asked_class(request, fields),
            prompt.tier(fields),
            request.max_tokens,
            prompt.estimated_tokens(request.body_bytes),
            prompt.is_constrained(fields),
            also,
            hints.ttft_s is not None or hints.tpot_s is not None,
        )
        classified = self._classifier.classify(asked)
        facts = ENDPOINTS[request.endpoint]
        if request.route in SOMEWHERE:
            classified = replace(classified, require=classified.require | {ROUTE_LABEL + request.route})
        if head.pin:
            only = frozenset({BACKEND_LABEL + head.pin})
            if facts.api is Api.RESPONSES:  # what a backend keeps is nowhere else, whatever a rule wants
                classified = replace(classified, require=only)
            else:
                classified = replace(classified, require=classified.require | only)
        kind = classified.traffic_class
        said: Said = ()
        first: First | None = None
        if request.json and (kind.prompts is not None or template is not None):
            body, said, first = self.prompts.edited(
                kind.name, kind.prompts or NO_EDITS, template, request, fields, body
            )
            request = replace(
                request, body_bytes=len(body), max_tokens=request.max_tokens if first is None else first.rule.tokens
            )
        named = request.model is not None
        if not head.pin:
            fallbacks = self._ways.of(model, kind.name, classified.require, named, self._spellings)
        else:
            fallbacks = where_it_was(model, usual, classified.require) if named and usual else ()
        if patterns is not None:
            fallbacks = tuple(way for way in fallbacks if may_use(patterns, way.model, self._spellings(way.model)))
        promise = kind.promise if hints is prompt.NO_WISHES else _promised(kind.promise, hints)
        tokens = prompt.estimated_tokens(request.body_bytes)
        if not facts.computes:
            promise, tokens = NOTHING_PROMISED, 1
        elif head.due is not None:
            promise = NOTHING_PROMISED
        wait_until = _deadline(received, promise.deadline_s, request.client_timeout_s)
        job = Job(
            next(self._ids),
            model,
            endpoint=request.endpoint,
            stream=request.stream,
            body_bytes=request.body_bytes,
            max_tokens=request.max_tokens if facts.computes else 1,
            deadline=_soonest(wait_until, received, hints.wait_s) if head.due is None else head.due,
            arrived=received,
            traffic_class=kind.name,
            tenant=tenant,
            bulk=(kind.bulk or head.due is not None) and facts.computes,
            priority=kind.priority + classified.priority,
            demotable=kind.demotable,
            slo_ttft_s=promise.ttft_s,
            slo_tpot_s=promise.tpot_s,
            prompt_tokens=tokens,
            prefix=prompt.prefix(fields, model, tenant) if self.foresees and fields and facts.computes else (),
            prefix_block_tokens=prompt.BLOCK_TOKENS,
            constrained=asked.constrained,
            require=fallbacks[0].require if fallbacks else classified.require,
            prefer=classified.prefer,
            fallbacks=fallbacks[1:],
            hedge=kind.hedge if facts.repeatable else None,
            done_by=_deadline(received, promise.deadline_s, None if request.stream else request.client_timeout_s)
            if head.due is None
            else head.due,
            yields_until=head.yields_until,
            needs=needs.of(fields, facts.api) if fields else NOTHING_NEEDED,
            session=prompt.session(head.fields, fields) if self.foresees and facts.computes else "",
            is_free=request.endpoint is Endpoint.STORED,
        )
        window = None if self._windows is None or not facts.computes else self._windows.of(kind.name, request.endpoint)
        part = None if window is None else self._with_others(job, window, head, request, fields, kind)
        return BuiltJob(job, classified, asked, promise, request, body, said, first, part)

    def again(self, taken: BuiltJob, body: bytes) -> Job:
        """The job of the same request with another body, which goes alone."""
        return replace(
            taken.job,
            id=next(self._ids),
            body_bytes=len(body),
            prompt_tokens=prompt.estimated_tokens(len(body)),
            prefix=(),
            gather=None,
            window=None,
            same=None,
        )

    def _with_others(
        self,
        job: Job,
        window: Window,
        head: Head,
        request: Request,
        fields: Mapping[str, Any],
        kind: TrafficClass,
    ) -> Part | None:
        """With which others it may wait, be sent or be answered."""
        job.gather = window
        if not ENDPOINTS[request.endpoint].inputs and fields.get("temperature") != 0:
            return None  # nearly every chat
        if job.hedge is not None or request.body_bytes > batching.LARGEST_B:
            return None
        target = request.target + " " + job.model
        if window.shares and not kind.stream.resume and batching.is_deterministic(request.endpoint, fields):
            who = Who(job.tenant, self._shows_keys)
            job.same = batching.same(target, fields, kind.name, head.forward, who)
        part = batching.part(request.endpoint, fields)
        if part is not None:
            who = Who("" if window.across_tenants else job.tenant, self._shows_keys)
            job.window = batching.key(request.endpoint, target, fields, part, head.forward, who)
            job.items = len(part.inputs)
        return part

    def goes_on_from(self, before: "JobBuilder") -> None:
        """What another configuration's has learned holds here."""
        self._classifier.goes_on_from(before._classifier)

    def models_of(self, head: Head) -> Patterns:
        """The models there are for whoever asks."""
        return self._permitted.of(identity.tenant(head))

    def told(self, fault: Fault, job: Job) -> Fault:
        """What is said of it to whoever asked: nobody is told of models that are not there for them."""
        restricted = fault.kind is Kind.MODEL_NOT_FOUND and self._permitted.of(job.tenant) is not None
        return no_such_model(job.model) if restricted else fault

    def learn(self, asked: RequestTraits, output_tokens: int) -> None:
        """An answer had so many tokens."""
        self._classifier.learn(asked, output_tokens)

    def _model(self, request: Request, permitted: Patterns) -> str:
        names_model = ENDPOINTS[request.endpoint].names_model
        if request.route in SOMEWHERE:
            model = self._of_route(ROUTE_LABEL + request.route, permitted, names_model=names_model)
        else:
            model = self._default_model or self._models.only()
            if model is None and not names_model:
                model = self._models.any_of(permitted)
        if model is None:
            text = "The request names no model, and there are several on unlike backends; see GET /v1/models."
            raise bodies.invalid(text, "model")
        return model

    def _of_route(self, label: str, permitted: Patterns, *, names_model: bool) -> str | None:
        usual, there = self._default_model, self._models.there(label)
        if usual and usual in there:
            return usual
        return None if names_model and len(there) > 1 else self._models.any_there(label, permitted)

    def _asked_class(self, request: Request, fields: Mapping[str, Any]) -> str:
        name = request.traffic_class
        if not name and request.endpoint is Endpoint.RESPONSES and fields.get("background") is True:
            return BULK_CLASS  # nobody reads along
        if name and name not in self._classifier.classes:
            known = ", ".join(self._classifier.classes)
            raise bodies.invalid(f"There is no traffic class {name!r}; known: {known}.", "x-tidegate-class")
        return name


def no_such_model(model: str) -> Fault:
    """The same words for a model that is not there and for one that is not there for this tenant."""
    text = f'The model "{shown_name(model)}" does not exist, or not for this API key. GET /v1/models lists all.'
    return downstream(Kind.MODEL_NOT_FOUND, text, param="model", code="model_not_found")


def _promised(of_class: Promise, hints: RequestHints) -> Promise:
    return of_class._replace(
        ttft_s=of_class.ttft_s if hints.ttft_s is None else hints.ttft_s,
        tpot_s=of_class.tpot_s if hints.tpot_s is None else hints.tpot_s,
        deadline_s=of_class.deadline_s if hints.deadline_s is None else hints.deadline_s,
    )


def _soonest(deadline: float | None, received: float, wait_s: float | None) -> float | None:
    """Nobody waits for longer than the client wants anybody to."""
    if wait_s is None:
        return deadline
    return received + wait_s if deadline is None else min(deadline, received + wait_s)


def _deadline(received: float, promised_s: float | None, client_s: float | None) -> float | None:
    """Nobody waits longer than the shorter of the two."""
    if not client_s:
        return None if promised_s is None else received + promised_s
    return received + (client_s if promised_s is None else min(client_s, promised_s))
