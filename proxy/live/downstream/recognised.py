"""Requests of one connection whose head came before: made without a parser, as the parser would have made them.

Learned at the second sight, so that a client whose heads all differ costs a look; one who goes on so is not looked at
any more. Who may come in is asked every time, and terms that have changed since are looked up anew.
"""

from typing import Final

from proxy.live.downstream.budget import COPIES
from proxy.live.downstream.message import Message
from proxy.live.downstream.terms import Terms
from proxy.model.faults import FaultError
from proxy.wire.headers import Head
from proxy.wire.known_head import SPARE_B, KnownHead, head_of

_LENGTH: Final = b"content-length"
_VAIN_MAX: Final = 4
"""Heads in a row that nothing was like, before we stop to expect any."""


class Recognised:
    """One per connection."""

    __slots__ = ("_forward", "_head", "_is_known", "_like", "_limits", "_policy", "_terms", "_vain")

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._like: KnownHead | None = None
        """Of the last one that was parsed,"""
        self._is_known = False
        """… and whether it came twice."""
        self._head: Head | None = None
        self._forward: list[tuple[bytes, bytes]] = []
        """As it was before anybody was asked whether it may come in."""
        self._limits = terms.limits
        self._policy = terms.policy
        self._vain = 0

    def message(self, data: bytes, peer: str) -> Message | None:
        """The request that `data` is; None: it is for the parser. With a fault: it may not come in."""
        like, known, terms = self._like, self._head, self._terms
        if not self._is_known or like is None or known is None:
            return None
        start = like.body_at(data)
        if not start or self._limits is not terms.limits or self._policy is not terms.policy:
            return None
        length = len(data) - start
        if length > terms.limits.body.size or COPIES * length > terms.budget.free_b:
            return None
        head = self._again(known, length)
        if terms.gate is not None:
            try:
                terms.gate(head, peer)
            except FaultError as error:
                return Message(head, b"", False, False, error.fault)
        if terms.uploads is not None and terms.uploads(head):
            return None
        self._vain = 0
        terms.budget.take(COPIES * length)
        return Message(head, data[start:], True, False, None, COPIES * length)

    def learn(self, data: bytes, head: Head, forward: list[tuple[bytes, bytes]]) -> None:
        """`data` was one whole request, after which the connection is kept; `forward`: of its head, before it was asked
        whether it may come in."""
        if self._vain > _VAIN_MAX:
            return
        terms = self._terms
        like = head_of(data)
        if like is None or like.size_b + SPARE_B > terms.limits.head.total:
            self._like = None
            return
        before, self._like = self._like, like
        self._is_known = before is not None and before.is_like(like)
        if self._is_known:
            self._vain = 0
            self._head, self._forward = head, forward
            self._limits, self._policy = terms.limits, terms.policy
        else:
            self._vain += 1
            self._head = None

    def stop(self) -> None:
        """The connection ends after a request: whatever follows it is none, as the parser will say."""
        self._is_known = False
        self._vain = _VAIN_MAX + 1

    def _again(self, known: Head, length: int) -> Head:
        fields = known.fields
        written = b"%d" % length
        if fields[_LENGTH] != written:
            fields = {**fields, _LENGTH: written}
        told = fields.get(b"x-request-id")
        is_theirs = told is not None and told == known.request_id.encode()
        return Head(
            method=known.method,
            target=known.target,
            host=known.host,
            request_id=known.request_id if is_theirs else self._terms.new_id(),
            forward=self._forward,
            content_type=known.content_type,
            content_encoding=known.content_encoding,
            expects_continue=False,
            origin=known.origin,
            client_attempt=known.client_attempt,
            client_timeout_s=known.client_timeout_s,
            traffic_class=known.traffic_class,
            fields=fields,
        )
