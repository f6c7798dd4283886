"""The admin listener: liveness, readiness, metrics, explanations, the prefix report, and the page for people.

Its own port, loopback by default, with a Host allow-list, on the same edge as the data port: heads, bodies and idle
connections have the same limits. Who may ask what, and change anything, says the guard. Few connections at once; where
those are open, the one that has said nothing for the longest time makes room, so that a probe or a scrape always gets
in.
"""

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

import orjson

from proxy.core.refusals import short_of_memory
from proxy.live.cache.response_cache import ResponseCache
from proxy.live.downstream.budget import Budget
from proxy.live.downstream.connection import ClientConnection, Edge
from proxy.live.downstream.message import Message
from proxy.live.guard import Guard
from proxy.live.page.console import PATHS, Answer, Console, Flow
from proxy.live.scrapes import Scrapes, form_for
from proxy.live.watch import NEVER, Watch
from proxy.model.faults import FaultError
from proxy.model.limits import Limits
from proxy.model.tenants import is_tenant
from proxy.wire import body as bodies
from proxy.wire import errors
from proxy.wire.headers import Head, HeaderPolicy

_log = logging.getLogger("tidegate.admin")
_TEXT: Final = b"text/plain; charset=utf-8"
_JSON: Final = b"application/json"
READS: Final = ("GET", "HEAD")
WRITES: Final = ("POST",)
METHODS: Final = {
    "/livez": READS,
    "/readyz": READS,
    "/metrics": READS,
    "/prefix": READS,
    "/slo": READS,
    "/explain": WRITES,
    "/cache/stats": READS,
    "/cache/bump": WRITES,
}
"""Beside those of the page and of whatever is added."""
_EXPLAINED_PATH: Final = "/v1/chat/completions"
_MAX_NAME: Final = 256
SLACK: Final = 2
"""So many times the connections that stay open may be there for the moment in which those that make room close."""
DELIVERED: Final = 4
"""Scrapes at most that have not been read to the end."""
Explain = Callable[[str, list[tuple[bytes, bytes]], bytes, str], tuple[int, bytes]]
"""Path, headers and body of a request, and its tenant if that is given → status and JSON."""


def is_own_name(host: str) -> bool:
    """Whether a Host header names this machine rather than a web page's domain: an address or a name without dots
    (`localhost`, a container's or service's name). A page that rebinds its own domain to us carries that domain."""
    name = host.rsplit(":", 1)[0] if host.rfind(":") > host.rfind("]") else host
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return bool(name) and "." not in name
    return True


def is_same_origin(origin: bytes, host: bytes) -> bool:
    """Whether who asks is no page, or one of this very port: a browser sends what any page wants, and says whose."""
    return not origin or origin.partition(b"://")[2].lower() == host.lower()


def is_listed(host: str, hosts: Sequence[str]) -> bool:
    """Whether the operator named this Host: exactly, or by `*.` and the rest of it."""
    name = host.partition(":")[0].lower()
    return any(name == one or (one[:2] == "*." and name.endswith(one[1:])) for one in hosts)


class AdminRoute(NamedTuple):
    """One more path."""

    methods: tuple[str, ...]
    answer: Callable[[Mapping[str, list[str]]], Awaitable[tuple[int, Any]]]
    """Of a query: status, and what becomes JSON."""


class Admin:
    """One per proxy."""

    def __init__(
        self,
        *,
        why_not_ready: Callable[[], str | None],
        scrapes: Scrapes,
        explain: Explain,
        prefix_report: Callable[[], bytes],
        slo_report: Callable[[], bytes] = lambda: b'{"slos":[]}',
        cache: ResponseCache | None = None,
        has_room: Callable[[int], bool],
        limits: Limits,
        watch: Watch,
        loop: asyncio.AbstractEventLoop,
        max_connections: int,
        budget: Budget,
        console: Console | None = None,
        hosts: Sequence[str] = (),
        new_id: Callable[[], str] = lambda: "admin",
        key: str = "",
    ) -> None:
        """`hosts`: names to be asked by beside addresses and names without dots; `new_id`: for requests; `key`: what
        whoever asks must say, empty: nothing."""
        self._guard = Guard(key)
        self._console = console
        self._hosts = hosts
        self._why_not_ready = why_not_ready
        self._scrapes = scrapes
        self._scraped: list[ClientConnection] = []
        """Connections that got metrics, as long as they have not taken all of them."""
        self._explain = explain
        self._cache = cache
        self._prefix_report = prefix_report
        self._slo_report = slo_report
        self._more: dict[str, AdminRoute] = {}
        self._has_room = has_room
        self._limits = limits
        self._max_connections = max_connections
        self._edge = Edge(
            self._handle,
            limits=limits,
            policy=HeaderPolicy(),
            new_id=new_id,
            watch=watch,
            loop=loop,
            max_connections=SLACK * max_connections,
            budget=budget,
        )

    def connection(self) -> ClientConnection:
        """A protocol for one accepted socket."""
        if len(self._edge.connections) >= self._max_connections:
            self._make_room()
        return self._edge.connection()

    def add_routes(self, routes: Mapping[str, AdminRoute]) -> None:
        """These are known, too."""
        self._more |= routes

    def configure(
        self,
        limits: Limits,
        cache: ResponseCache | None,
        max_connections: int,
        hosts: Sequence[str] = (),
        key: str = "",
    ) -> None:
        """As another configuration has it."""
        self._guard = Guard(key)
        self._hosts = hosts
        self._limits = limits
        self._cache = cache
        self._max_connections = max_connections
        self._edge.configure(limits, HeaderPolicy(), SLACK * max_connections)

    def close(self) -> None:
        """Every connection, now."""
        for connection in list(self._edge.connections):
            connection.abort()

    def _make_room(self) -> None:
        """Who says nothing is the first to be closed anyway: its deadline comes first, and who is answered has none."""
        silent = [c for c in self._edge.connections if c.deadline != NEVER and not c.closing]
        if silent:
            min(silent, key=_deadline).abort()

    # --- one request

    async def _handle(self, connection: ClientConnection, message: Message) -> None:
        answer = await self._answered(connection, message)
        if not isinstance(answer, Answer):
            await answer(connection)
            return
        try:
            connection.respond(answer.status, [(b"content-type", answer.content_type), *answer.headers], answer.body)
        finally:
            connection.finished()
        if answer.is_large:
            self._bound_delivery(connection)

    async def _answered(self, connection: ClientConnection, message: Message) -> Answer | Flow:
        try:
            return await self._answer(message, connection.client)
        except FaultError as error:
            refused = errors.answer(error.fault)
            connection.closing |= refused.closes
            return Answer(refused.status, _JSON, refused.body, tuple(refused.headers[1:]))
        except Exception:  # noqa: BLE001 - the last line: a bug becomes one 500 and one traceback
            _log.exception("internal error")
            return _text(500, "Tidegate failed internally; this is a bug, please report it.")

    async def _answer(self, message: Message, peer: str) -> Answer | Flow:
        if message.fault is not None:
            raise FaultError(message.fault)
        head = message.head
        assert head is not None
        refused = self._refused(head)
        if refused:
            return Answer(403, _JSON, orjson.dumps({"error": refused}))
        path, _, query = head.target.decode("ascii", "replace").partition("?")
        more = self._more.get(path)
        of_console = None if self._console is None else self._console.methods(path)
        methods = of_console or (METHODS.get(path) if more is None else more.methods)
        if methods is None:
            of_page = PATHS if self._console is not None else ()
            return _text(404, f"Known here: {', '.join((*of_page, *METHODS, *self._more))}.")
        if head.method not in methods:
            return _text(405, f"{path} knows {' and '.join(methods)}.")
        if not self._guard.lets_in(head, path, peer, is_page=of_console is not None):
            return self._guard.refusal()
        if self._console is not None and of_console is not None:
            return self._console.answer(path, query, head, message)
        if more is not None:
            status, told = await more.answer(parse_qs(query))
            return Answer(status, _JSON, orjson.dumps(told))
        if path == "/metrics":
            return await self._metrics(head)
        return self._of(path, query, head, message.body)

    def _refused(self, head: Head) -> str:
        """Why nobody who asks so gets an answer; empty: they may."""
        host = head.host.decode("latin-1")
        if not is_own_name(host) and not is_listed(host, self._hosts):
            return "The Host header must be an address, a name without dots, or one that console.hosts lists."
        if head.method == "POST" and not is_same_origin(head.origin, head.host):
            return "Pages of other origins may change nothing here."
        return ""

    async def _metrics(self, head: Head) -> Answer:
        form = form_for(head.fields.get(b"accept", b""), head.fields.get(b"accept-encoding", b""))
        (_, content_type), *others = form.headers()
        return Answer(200, content_type, await self._scrapes.body(form), tuple(others), is_large=True)

    def _bound_delivery(self, latest: ClientConnection) -> None:
        """Metrics may be megabytes: few who read them slowly may hold them, and the first of those goes."""
        self._scraped = [one for one in self._scraped if one is not latest and one.is_delivering()]
        self._scraped.append(latest)
        while len(self._scraped) > DELIVERED:
            self._scraped.pop(0).abort()

    def _of(self, path: str, query: str, head: Head, body: bytes) -> Answer:
        if path == "/livez":
            return _text(200, "ok")
        if path == "/readyz":
            reason = self._why_not_ready()
            return _text(200, "ok") if reason is None else _text(503, reason)
        if path.startswith("/cache/"):
            return self._of_cache(path, parse_qs(query))
        if path == "/prefix":
            return Answer(200, _JSON, self._prefix_report())
        if path == "/slo":
            return Answer(200, _JSON, self._slo_report())
        said = parse_qs(query)
        asked, tenant = said.get("path", [_EXPLAINED_PATH])[0], _name(said, "tenant")
        if tenant and not is_tenant(tenant):
            return Answer(400, _JSON, orjson.dumps({"error": "This is no name of a tenant."}))
        plain = bodies.decode(body, head.content_encoding, self._limits.body.size)
        if not self._has_room(len(plain)):
            raise FaultError(short_of_memory())
        status, told = self._explain(asked, list(head.fields.items()), plain, tenant)
        return Answer(status, _JSON, told)

    def _of_cache(self, path: str, query: dict[str, list[str]]) -> Answer:
        if self._cache is None:
            return Answer(404, _JSON, orjson.dumps({"error": "No answers are kept: cache.size is 0."}))
        if path == "/cache/stats":
            return Answer(200, _JSON, orjson.dumps(self._cache.view()._asdict()))
        model, prompt = _name(query, "model"), _name(query, "prompt")
        if model and prompt:
            return Answer(400, _JSON, orjson.dumps({"error": "Either of a model or of a prompt, not of both."}))
        count = self._cache.bump(model, prompt)
        _log.info("kept answers are void: model %r, prompt %r (empty: all)", model, prompt)
        return Answer(200, _JSON, orjson.dumps({"model": model, "prompt": prompt, "epoch": count}))


def _name(query: dict[str, list[str]], key: str) -> str:
    return query.get(key, [""])[0][:_MAX_NAME]


def _deadline(connection: ClientConnection) -> float:
    return connection.deadline


def _text(status: int, line: str) -> Answer:
    return Answer(HTTPStatus(status), _TEXT, line.encode() + b"\n")
