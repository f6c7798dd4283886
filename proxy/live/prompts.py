"""What is done to prompts on their way: named ones put in front, lines taken out, conversations cut, answers asked
to be short at first.

Owns the order of these steps, their counts and what the client is told of them. What is off is not called.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from proxy.model.endpoint import Endpoint
from proxy.model.histogram import Histogram
from proxy.model.prompts import FirstAnswer, PromptEdits
from proxy.model.request import Job, Request
from proxy.model.timeline import Clock
from proxy.wire import prompt
from proxy.wire.body import WHOLE_B
from proxy.wire.prompts import short_first
from proxy.wire.prompts.assembly import HEADER, assembled, reference
from proxy.wire.prompts.history import shortened
from proxy.wire.prompts.lint import PrefixLint
from proxy.wire.prompts.named import NamedPrompts, conversation
from proxy.wire.prompts.strip import stripped
from proxy.wire.prompts.template import Template

Said = tuple[tuple[bytes, bytes], ...]
"""Headers of the answer."""
_HISTORY: Final = b"x-tidegate-history"
_CONVERSATIONS: Final = frozenset({Endpoint.CHAT, Endpoint.MESSAGES, Endpoint.RESPONSES})
"""Elsewhere `input` and `prompt` are other things."""


def _unmeasured() -> float:
    return 0.0


class First(NamedTuple):
    """A request gets a short answer first."""

    rule: FirstAnswer
    limit: int | None
    """Most tokens that the client wants."""


class Edited(NamedTuple):
    """What an engine gets, and what the client is told."""

    body: bytes
    said: Said = ()
    first: First | None = None


class Assembled(NamedTuple):
    """A request with its named prompt in front; as it came where it wants none."""

    request: Request
    body: bytes
    template: Template | None = None


class Prompts:
    """One per configuration."""

    def __init__(
        self, lint: PrefixLint | None = None, named: NamedPrompts | None = None, clock: Clock = _unmeasured
    ) -> None:
        self._lint = lint
        """Looks for what changes at the front of prompts; None: nobody does."""
        self.named = named
        """None: there are none, and nobody is asked for any."""
        self._clock = clock
        self.lines_stripped: defaultdict[str, int] = defaultdict(int)
        """By class."""
        self.messages_cut: defaultdict[str, int] = defaultdict(int)
        """By class."""
        self.assembly: dict[str, Histogram] = {}
        """By name and version: seconds in which it was put together."""

    def otherwise(self, lint: PrefixLint | None, named: NamedPrompts | None) -> "Prompts":
        """The same under another configuration, with the same counts."""
        prompts = Prompts(lint, named, self._clock)
        prompts.lines_stripped, prompts.messages_cut = self.lines_stripped, self.messages_cut
        prompts.assembly = self.assembly
        return prompts

    def assembled(
        self, headers: Mapping[bytes, bytes], tenant: str, request: Request, fields: dict[str, Any], body: bytes
    ) -> Assembled:
        """FaultError for a prompt that there is not, and for variables that are missing. `fields` are changed alike."""
        named = self.named
        if named is None or not request.json or not (request.endpoint in _CONVERSATIONS or HEADER in headers):
            return Assembled(request, body)
        wanted = reference(headers, fields)
        if wanted is None:
            return Assembled(request, body)
        start = self._clock()
        whose = conversation(prompt.session(headers, fields), tenant, fields)
        template = named.find(wanted, whose)
        body = assembled(body, fields, request.endpoint, template.filled(wanted.variables))
        histogram = self.assembly.get(template.label)
        if histogram is None:
            histogram = self.assembly[template.label] = Histogram()
        histogram.observe(self._clock() - start)
        request = replace(request, body_bytes=len(body), prompt_version=template.label)
        return Assembled(request, body, template)

    def edited(
        self,
        traffic_class: str,
        edits: PromptEdits,
        template: Template | None,
        request: Request,
        fields: dict[str, Any],
        body: bytes,
    ) -> Edited:
        """What the class and the named prompt say; `fields` are changed alike."""
        if request.endpoint not in _CONVERSATIONS:
            return Edited(body)
        said: Said = () if template is None else ((HEADER, template.label.encode()),)
        if edits.strip:
            body, count = stripped(body, fields, edits.strip)
            if count:
                self.lines_stripped[traffic_class] += count
        budget = _least(edits.history, None if template is None else template.history)
        if budget is not None:
            key = "messages" if "messages" in fields else "input"
            body, cut = shortened(body, fields, key, budget)
            if cut is not None:
                self.messages_cut[traffic_class] += cut.gone
                said += ((_HISTORY, f"cut={cut.gone}; kept={cut.kept}".encode()),)
        rule = edits.first if template is None else template.first or edits.first
        if rule is None or request.expands or not short_first.may_be_short(request.endpoint, fields, rule):
            return Edited(body, said)
        first = First(rule, short_first.limit_of(fields))
        said += ((short_first.SAID, request.id.encode()),)
        return Edited(short_first.shortened(body, fields, rule), said, first)

    def saw(self, job: Job, request: Request, fields: dict[str, Any]) -> None:
        """A request that is really asked, and not only explained. Of large bodies too much is left out to look at."""
        if self._lint is not None and request.json and request.body_bytes <= WHOLE_B:
            self._lint.saw(job.tenant, job.model, request.prompt_version, fields)


def _least(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)
