"""What is done to one stream besides passing it on: decided before it is asked for, by class, engine and request."""

from dataclasses import dataclass

from proxy.model.classes import StreamSettings
from proxy.model.endpoint import Api
from proxy.wire.accounting import Undo, Undoing
from proxy.wire.allowance import AllowanceHeaders
from proxy.wire.continuation import Continuation
from proxy.wire.corrections import Corrections
from proxy.wire.counting import Evidence
from proxy.wire.pacing import Pacer
from proxy.wire.rechunk import Rechunker, TokenRechunker
from proxy.wire.rechunk_text import TextRechunker


@dataclass(slots=True, init=False)
class StreamPlan:
    """What is done to a stream besides passing it on."""

    settings: StreamSettings
    event_limit_b: int
    undo: Undo = Undo.NOTHING
    """We asked for usage and the client did not."""
    continuation: Continuation | None = None
    """Keeps what another backend would have to continue from."""
    evidence: Evidence | None = None
    """What token borders can be told from; needed for every granularity but the engine's."""
    continuous: bool = False
    """Usage in every event is among what we asked for."""
    api: Api = Api.OPENAI
    """In whose shape the client reads errors."""
    allowance: AllowanceHeaders | None = None
    """What large events of all streams share."""
    may_call: bool = False
    """The answer may hold calls of tools: engines that parse these are silent until one is whole."""
    corrections: Corrections | None = None
    """What is put right in it; None: nothing."""

    def __init__(
        self,
        settings: StreamSettings,
        event_limit_b: int,
        undo: Undo = Undo.NOTHING,
        *,
        continuation: Continuation | None = None,
        evidence: Evidence | None = None,
        continuous: bool = False,
        api: Api = Api.OPENAI,
        allowance: AllowanceHeaders | None = None,
        may_call: bool = False,
        corrections: Corrections | None = None,
    ) -> None:
        self.settings = settings
        self.event_limit_b = event_limit_b
        self.undo = undo
        self.continuation = continuation
        self.evidence = evidence
        self.continuous = continuous
        self.api = api
        self.allowance = allowance
        self.may_call = may_call
        self.corrections = corrections

    def rechunker(self) -> Rechunker | None:
        """A re-chunker for one stream; None at the engine's granularity."""
        if self.evidence is None or self.settings.granularity == "engine":
            return None
        if self.settings.granularity == "token":
            return TokenRechunker(self.evidence)
        return TextRechunker(self.evidence)

    def pacer(self) -> Pacer | None:
        """A pacer for one stream; None when tokens leave as they come."""
        return Pacer(self.settings.max_delay) if self.settings.pace == "smooth" else None

    def undoing(self) -> Undoing | None:
        """What takes out of one stream the usage that only we asked for; None where we did not."""
        return None if self.undo is Undo.NOTHING else Undoing(self.undo, continuous=self.continuous)
