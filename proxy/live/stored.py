"""Which backend keeps which response and conversation: learned from answers, asked by requests that go on from one.

Owns what is looked at for it, and the refusal of ids that nobody holds. An id is known to the tenant whose answer told
it and to nobody else (`owners`); without tenants, and with one backend only, that backend is asked for ids of which
nothing is known: they may be older than this process.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from proxy.live.answer import Answer, Sink
from proxy.live.owners import Owners
from proxy.live.shared_owners import Owner
from proxy.model.endpoint import Endpoint
from proxy.model.faults import Fault, FaultError, Kind, downstream
from proxy.model.request import Request
from proxy.model.timeline import Clock
from proxy.wire import codings, identity, stored
from proxy.wire.headers import Head
from proxy.wire.sse import EventSplitter
from proxy.wire.stored import Named

_EVENTS: Final = 8
"""So many are looked at for an id; the first one tells it."""
_ANY_MODEL: Final = frozenset({"conversation", stored.PREVIOUS_MESSAGE})
"""Fields that name what each turn may be of another model of."""
_SHOWN: Final = 64
"""Characters of an id that an error repeats."""


class Placed:
    """Of one request, from where it goes to what its answer tells."""

    __slots__ = ("_clock", "_deletes", "_makes", "_owners", "_served", "_whose", "head", "model")

    def __init__(self, owners: Owners, clock: Clock, head: Head, model: str, *, makes: bool, deletes: str) -> None:
        self._owners = owners
        self._clock = clock
        self._whose = identity.whose(head)
        self._makes = makes
        self._deletes = deletes
        self._served = model
        self.head = head
        """With the backend that it must go to."""
        self.model = model
        """What served it there when it was made; empty: the request has to say."""

    def saw(self, answer: Answer, served: str) -> None:
        """Before its client gets any of it. `served`: the model that it is of, perhaps another one than was asked."""
        self._served = served
        if answer.status >= 300 or answer.events is not None:
            return
        if self._makes and not codings.coding_of(answer.headers):
            self.learned(stored.in_body(answer.body), answer.backend)
        if self._deletes:
            self._owners.forget(self._whose, self._deletes, self._clock())

    def around(self, sink: Sink, answer: Answer) -> Sink:
        """Where its events pass, the first of which tell an id."""
        return _Watched(self, sink, answer.backend) if self._makes and answer.events is not None else sink

    def learned(self, name: str, backend: str) -> None:
        """An id that an answer told; empty: it told none."""
        if name:
            self._owners.learn(self._whose, name, backend, self._served, self._clock())


class _Watched:
    """Passes a stream on, and looks at its beginning."""

    def __init__(self, placed: Placed, sink: Sink, backend: str) -> None:
        self._placed = placed
        self._sink = sink
        self._backend = backend
        self._splitter: EventSplitter | None = EventSplitter(stored.EVENT_B)
        """None: nobody looks any more."""
        self._left = _EVENTS

    def send(self, data: bytes) -> None:
        """As a sink does."""
        self._look(data)
        self._sink.send(data)

    def send_chunk(self, data: bytes, chunk: bytes) -> None:
        """The same."""
        self._look(data)
        self._sink.send_chunk(data, chunk)

    def _look(self, data: bytes) -> None:
        splitter = self._splitter
        if splitter is None:
            return
        try:
            events = splitter.feed(data)
        except FaultError:  # too long to be looked at, which is no fault of the stream
            self._splitter = None
            return
        for event in events:
            name = stored.in_event(event)
            self._left -= 1
            if name or self._left <= 0:
                self._placed.learned(name, self._backend)
                self._splitter = None
                return


class Stored:
    """One per configuration."""

    def __init__(self, owners: Owners, backends: frozenset[str], clock: Clock) -> None:
        """`backends`: names of those that there are."""
        self._owners = owners
        self._backends = backends
        self._clock = clock

    async def place(self, head: Head, request: Request, fields: Mapping[str, Any]) -> Placed:
        """Where it has to go, if it goes on from what a backend keeps. FaultError when none has it."""
        in_path = stored.in_target(request.target) if request.endpoint is Endpoint.STORED else None
        is_thread = request.endpoint is Endpoint.MESSAGES
        in_body = stored.in_thread if is_thread else stored.in_fields
        named = in_body(fields) if in_path is None else [in_path]
        pin = model = ""
        for one in named:
            backend, served = await self._owner(head, one)
            if one is named[0]:
                pin = backend
                if one.field not in _ANY_MODEL or request.model is None:
                    model = served
        deletes = in_path.id if in_path is not None and in_path.is_all and request.method == "DELETE" else ""
        return Placed(
            self._owners,
            self._clock,
            replace(head, pin=pin) if pin else head,
            model or request.model or "",
            makes=request.method == "POST" and in_path is None and fields.get("store") is not False,
            deletes=deletes,
        )

    async def _owner(self, head: Head, named: Named) -> Owner:
        if len(named.id) > stored.LONGEST:
            raise FaultError(_unknown(named))
        found = await self._owners.sought(identity.whose(head), named.id, self._clock())
        if found is not None and found[0] in self._backends:
            return found
        if found is None and not head.tenant and len(self._backends) == 1:
            return "", ""
        raise FaultError(_unknown(named))


def _unknown(named: Named) -> Fault:
    """The same words for what never was, what is no more, and what belongs to another tenant."""
    code = (
        "previous_response_not_found"
        if named.field == "previous_response_id"
        else "thread_not_found"
        if named.field == stored.PREVIOUS_MESSAGE
        else "conversation_not_found"
        if named.kind == "Conversation"
        else "response_not_found"
    )
    text = f"{named.kind} with id {named.id[:_SHOWN]!r} not found."
    return downstream(Kind.UNKNOWN_ROUTE, text, param=named.field or None, code=code)
