"""What one request is served by: every part that a configuration makes, in one value.

A request reads it once, where it begins, and keeps it to its end; a configuration that comes meanwhile is another
value, for the requests after it. A part whose settings are read per request belongs in here, and needs nothing else to
be reloaded.
"""

from typing import Protocol

from proxy.live.account import Accounts
from proxy.live.cache.response_cache import ResponseCache
from proxy.live.deliver import Writer
from proxy.live.downstream.connection import ClientConnection
from proxy.live.downstream.message import Message
from proxy.live.job_builder import JobBuilder
from proxy.live.outstanding import Jobs
from proxy.live.own import OwnAnswers
from proxy.live.realtime import Realtime
from proxy.live.request_parser import RequestParser
from proxy.live.response_headers import ResponseHeaders
from proxy.live.short_first import ShortFirst
from proxy.live.stored import Stored
from proxy.live.structured import StructuredAnswers
from proxy.model.outcome import Outcome
from proxy.wire.headers import Head


class StoreApi(Protocol):
    """What answers for the store of files and batches."""

    async def answer(
        self, head: Head, message: Message, writer: Writer, connection: ClientConnection
    ) -> Outcome | None:
        """None: it is nothing of the store's. FaultError where it cannot be done."""


class Serving:
    """One per configuration; never changed after it was made."""

    __slots__ = (
        "accounts",
        "batches",
        "cache",
        "job_builder",
        "jobs",
        "own",
        "parser",
        "realtime",
        "response_headers",
        "short_first",
        "stored",
        "structured",
    )

    def __init__(
        self,
        parser: RequestParser,
        own: OwnAnswers,
        job_builder: JobBuilder,
        jobs: Jobs,
        accounts: Accounts,
        response_headers: ResponseHeaders,
        short_first: ShortFirst,
        cache: ResponseCache | None = None,
        structured: StructuredAnswers | None = None,
        stored: Stored | None = None,
        batches: StoreApi | None = None,
        realtime: Realtime | None = None,
    ) -> None:
        """`cache`: None: no answer is kept; `structured`: None: none is looked at; `stored`: None: nobody remembers
        where engines keep theirs; `batches`: None: files and batches are no business of ours; `realtime`: None: there
        is no WebSocket."""
        self.parser = parser
        self.own = own
        self.job_builder = job_builder
        self.jobs = jobs
        self.accounts = accounts
        self.response_headers = response_headers
        self.short_first = short_first
        self.cache = cache
        self.structured = structured
        self.stored = stored
        self.batches = batches
        self.realtime = realtime
