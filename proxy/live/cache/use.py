"""Answers from memory, and into it: one `CacheUse` per request, between its being understood and its being answered.

    use ─▶ kept? ──hit──▶ Replay
            │ no: is the same under way? ──▶ wait for it ──▶ Replay, or on
            │ no: does the second level have it? ──▶ Replay
            └─▶ job.answer, tapped ──▶ ended: kept, and everybody who waits is told

Owns that order. What a key is, what may be kept and how it is cut stands in `wire`; the budget and the versions in
`core.cache`. Hits never reach the scheduler: nothing is learned of them, and no quota counts them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import orjson

from proxy.core.cache.store import Entry
from proxy.live.answer import Answer
from proxy.live.cache.flights import LEFT, NOTHING, Flight, Landing
from proxy.live.cache.memory import Memory
from proxy.live.cache.remote import RemoteCache
from proxy.live.job import JobLoop
from proxy.live.job_builder import BuiltJob
from proxy.live.relay import Relay
from proxy.live.replay import Replay, ReplayedStream
from proxy.model.cache import CacheRule
from proxy.model.classes import StreamSettings
from proxy.model.endpoint import ENDPOINTS
from proxy.model.faults import FaultError, Kind, downstream
from proxy.model.request import Request
from proxy.wire import cache_key, forms, kept
from proxy.wire.accounting import Undo
from proxy.wire.cacheable import TWO_FORMS, Directives
from proxy.wire.counting import Evidence
from proxy.wire.kept import Kept
from proxy.wire.plan import StreamPlan
from proxy.wire.tap import Tap

HIT: Final = "hit"
MISS: Final = "miss"
BYPASS: Final = "bypass"
COALESCED: Final = "coalesced"


class CacheUse:
    """Of one request. `answer` once, then `ended`, whatever happened."""

    __slots__ = (
        "_age_s",
        "_answer",
        "_digest",
        "_flight",
        "_generation",
        "_lease",
        "_memory",
        "_relays",
        "_request",
        "_rule",
        "_scope",
        "_taken",
        "_wants",
        "_whose",
        "prompt_version",
        "replay",
        "said",
    )

    def __init__(
        self,
        memory: Memory,
        request: Request,
        taken: BuiltJob,
        whose: bytes,
        wants: Directives,
        digest: bytes | None,
    ) -> None:
        """`digest`: of the request; None: its answer is not from memory, and is not kept."""
        self._memory = memory
        self._request = request
        self._taken = taken
        self._rule: CacheRule = taken.classified.traffic_class.cache
        self._whose = whose
        self._scope = b"class " + taken.job.traffic_class.encode() if self._rule.is_shared else b"key " + whose
        self._wants = wants
        self._digest = digest
        self._flight: Flight | None = None
        """That it leads."""
        self._generation = memory.versions.generation
        self._lease = b""
        """The key for which the second level has given us a lease."""
        self._age_s: float | None = None
        self._answer: Answer | None = None
        """What an engine brought,"""
        self._relays: list[Relay] = []
        """and the receivers of all attempts that were made for this request, whoever has a share of them."""
        self.replay: Replay | None = None
        """The answer, where it is one from memory."""
        self.prompt_version = taken.request.prompt_version
        """Of a named prompt, such as `support@3`: bumps name it. Empty: it has none."""
        self.said = BYPASS if digest is None else MISS

    @property
    def tap(self) -> Callable[[Relay], Tap] | None:
        """Makes what holds an answer of an engine that may be kept."""
        return None if self._digest is None else self._tap

    def headers(self) -> list[tuple[bytes, bytes]]:
        """What the client is told. Of a memory that is shared nothing: it would tell what others ask."""
        if self._rule.is_shared and self.said != BYPASS:
            return []
        told = [(b"x-tidegate-cache", self.said.encode())]
        if self._age_s is not None:
            told.append((b"age", b"%d" % self._age_s))
        return told

    async def answer(self, job: JobLoop) -> Answer:
        """From memory, or as the job brings it. FaultError as for the job."""
        if self._digest is None:
            self._insists()
            return await self._asked(job)
        while True:
            replay = self._kept()
            if replay is not None:
                return replay
            self._insists()
            flight = self._memory.flights.find(self._key())
            if flight is None or self._memory.coalesce_s <= 0 or self._wants.no_cache:
                break
            landing = await flight.landing(self._patience_s())
            if landing.entry is not None and (replay := self._given(landing.entry, COALESCED)) is not None:
                return replay
            if not landing.next_may_lead:
                return await self._asked(job)
        self._flight = self._memory.flights.lead(self._key())
        replay = await self._from_afar()
        return await self._asked(job) if replay is None else replay

    def ended(self, job: JobLoop | None, *, is_served: bool, has_left: bool) -> None:
        """The request is over: its answer is kept if it was a whole and good one, and those who wait are told. Before
        the job is settled."""
        if self.replay is not None:
            self.replay.release()
        entry = None
        if is_served and job is not None and job.way is None and not job.resumes:
            entry = self._keep(self._receiver())
        for relay in self._relays:
            if relay.tap is not None:
                relay.tap.drop()
        self._relays, self._answer = [], None
        flight, self._flight = self._flight, None
        if flight is not None:
            self._memory.flights.land(flight, Landing(entry) if entry is not None else LEFT if has_left else NOTHING)
        if self._lease and self._memory.remote is not None:
            self._memory.remote.give_back_soon(self._lease)

    def _tap(self, relay: Relay) -> Tap:
        tap = Tap(self._memory.taps, self._most_b)
        tap.is_held = True
        self._relays.append(relay)
        return tap

    @property
    def _most_b(self) -> int:
        """Of an answer that may be kept."""
        return self._memory.entry_b

    def _receiver(self) -> Relay | None:
        """Of the answer; None: another request's."""
        answer = self._answer
        return answer if isinstance(answer, Relay) else self._relays[-1] if self._relays else None

    async def _asked(self, job: JobLoop) -> Answer:
        answer = self._answer = await job.answer()
        if self.said == MISS and job.company is not None and job.company.joins:
            self.said = COALESCED
        return answer

    # --- looking

    def _key(self) -> bytes:
        assert self._digest is not None
        stamp = self._memory.versions.stamp(self._taken.job.model, self.prompt_version)
        return cache_key.key(self._digest, self._scope, stamp)

    def _kept(self) -> Replay | None:
        if self._wants.no_cache:
            return None
        entry = self._memory.get(self._scope, self._key(), self._wants.max_age_s)
        return None if entry is None else self._given(entry, HIT)

    def _insists(self) -> None:
        """FaultError for who wants an answer from memory or none."""
        if self._wants.only_if_cached:
            text = "No answer to this is kept, and Cache-Control says only-if-cached."
            raise FaultError(downstream(Kind.NOT_KEPT, text))

    def _patience_s(self) -> float:
        deadline, most_s = self._taken.job.deadline, self._memory.coalesce_s
        return most_s if deadline is None else max(0.0, min(most_s, deadline - self._memory.clock()))

    async def _from_afar(self) -> Replay | None:
        """From the second level: it has it, or another proxy is about to."""
        remote, key = self._memory.remote, self._key()
        if remote is None or self._wants.no_cache:
            return None
        found = await remote.get(key)
        if found is None and remote.is_there:
            found = await self._from_elsewhere(remote, key)
        if found is None:
            return None
        entry = self._memory.put(self._scope, key, found)
        if entry is not None and self._flight is not None:
            self._memory.flights.land(self._flight, Landing(entry))
        return self._kept()

    async def _from_elsewhere(self, remote: RemoteCache, key: bytes) -> Kept | None:
        """Who gets the lease makes the answer; the others look again until it is there, or nobody makes it."""
        if await remote.lease(key, self._memory.coalesce_s):
            self._lease = key
            return None
        return await remote.awaited(key, self._patience_s())

    # --- giving

    def _given(self, entry: Entry, how: str) -> Replay | None:
        """A kept answer in the form that the request asks for; None where it cannot be given so."""
        answer: Kept = entry.value
        if not self._memory.versions.is_current(self._taken.job.model, answer.fingerprint):
            return None
        now = int(self._memory.wall())
        body = answer.fresh(self._memory.unique(), now)
        replay = self._stream(answer, body) if self._request.stream else self._whole(answer, body)
        if replay is None:
            return None
        self._age_s = self._memory.age_s(entry)
        self.said, self.replay = how, replay
        return replay

    def _whole(self, answer: Kept, body: bytes) -> Replay | None:
        if not answer.is_stream:
            return Replay(body, answer.usage)
        fields = forms.whole(body, self._request.endpoint) if b'"usage"' in body else None
        return None if fields is None else Replay(orjson.dumps(fields), answer.usage)

    def _stream(self, answer: Kept, body: bytes) -> Replay | None:
        request = self._request
        if not answer.is_stream:
            fields = orjson.loads(body) if request.endpoint in TWO_FORMS else {}
            if request.usage_asked and not fields.get("usage"):
                return None
            cut = forms.stream(fields, request.endpoint, usage=request.usage_asked) if fields else None
            if cut is None:
                return None
            body = cut
        elif request.usage_asked and b'"usage"' not in body:
            return None
        plan = self._plan(_undo(answer, body, request), continuous=answer.continuous)
        return ReplayedStream(body, answer.usage, plan, self._rule.tokens_per_s, self._memory.loop)

    def _plan(self, undo: Undo, *, continuous: bool) -> StreamPlan | None:
        """What has to be done to its events; None: nothing."""
        memory, endpoint = self._memory, self._request.endpoint
        settings: StreamSettings = self._taken.classified.traffic_class.stream
        evidence = None
        if settings.granularity != "engine" and ENDPOINTS[endpoint].rechunked:
            model = self._taken.job.model
            evidence = Evidence(memory.tokenizers.estimator(model), memory.tokenizers.ready(model))
        if undo is Undo.NOTHING and evidence is None:
            return None
        plan = StreamPlan(replace(settings, pace="off"), memory.event_limit_b, undo)
        plan.evidence, plan.continuous, plan.api = evidence, continuous, ENDPOINTS[endpoint].api
        return plan

    # --- keeping

    def _keep(self, relay: Relay | None) -> Entry | None:
        """The answer of the engine that was asked for, made in one go."""
        answer = self._read(relay)
        if answer is None:
            return None
        if answer.fingerprint and self._answer is not None:
            self._memory.versions.answered(self._answer.backend, self._taken.job.model, answer.fingerprint)
        key = self._key()
        if self._memory.remote is not None:
            self._memory.remote.put_soon(key, answer, self._memory.ttl_s, self._lease)
            self._lease = b""
        return self._memory.put(self._scope, key, answer)

    def _read(self, relay: Relay | None) -> Kept | None:
        """`relay`: the receiver of the answer; None: of one that several have."""
        answer, memory = self._answer, self._memory
        if answer is None or self._digest is None or self._generation != memory.versions.generation:
            return None
        if answer.status != 200 or answer.fault is not None or _is_packed(answer):
            return None
        raw = answer.body if answer.complete and answer.events is None else b""
        if not raw and relay is not None and relay.tap is not None:
            raw = relay.tap.taken() or b""
        endpoint, now = self._request.endpoint, memory.wall()
        if answer.events is None:
            return kept.of_whole(raw, endpoint, now, self._whose)
        if relay is None or relay.stream is None:
            return None
        return kept.of_stream(raw, relay.stream.tail, endpoint, now, self._whose, continuous=relay.plan.continuous)


def _is_packed(answer: Answer) -> bool:
    return any(name.lower() == b"content-encoding" for name, _ in answer.headers)


def _undo(answer: Kept, body: bytes, request: Request) -> Undo:
    """What of the usage in a kept stream this client did not ask for."""
    if request.continuous_usage_asked or not answer.is_stream or b'"usage"' not in body:
        return Undo.NOTHING
    if not request.usage_asked:
        return Undo.ALL
    return Undo.CONTINUOUS if answer.continuous else Undo.NOTHING
