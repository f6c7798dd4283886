"""What the doctor looks for in front of the proxy, and what to change there: nginx first, then others by name."""

from typing import Final

from proxy.app.doctor.finding import Rule
from proxy.config.diagnostics import Severity

_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

WELL: Final = Rule("front-seen", _NOTE, "what came through the public URL, and how")
AWAY: Final = Rule("front-away", _ERROR, "the public URL does not answer", "correct it, its DNS or its certificate")
ELSEWHERE: Final = Rule(
    "front-elsewhere",
    _ERROR,
    "what is asked there does not arrive at `listen`",
    "let what stands in front pass to `listen` (nginx: proxy_pass; HAProxy: server; Caddy: reverse_proxy)",
)
REFUSES: Final = Rule(
    "front-refuses", _ERROR, "it answers itself, and no stream comes through", "let /v1/ through; see its own log"
)
PATH: Final = Rule(
    "front-path",
    _ERROR,
    "it changes the path",
    "nginx: proxy_pass without a path behind the port; Traefik: no stripPrefix; Caddy: handle, not handle_path",
)
BUFFERS: Final = Rule(
    "front-buffers",
    _ERROR,
    "it gathers the events of a stream: clients see them late, or all at once",
    "nginx: proxy_buffering off, gzip off, and no proxy_ignore_headers X-Accel-Buffering; Caddy: flush_interval -1; "
    "Apache: ProxyPass with flushpackets=on; Traefik: no buffering middleware; Envoy: no buffer filter",
)
PACKS: Final = Rule(
    "front-packs",
    _WARNING,
    "it compresses streams, which delays events",
    "nginx: gzip off; Caddy: no encode for text/event-stream; HAProxy: no compression type text/event-stream",
)
CUTS: Final = Rule(
    "front-cuts",
    _ERROR,
    "it cuts streams that say nothing for a while: engines think longer",
    "nginx: proxy_read_timeout 600s; HAProxy: timeout server 600s; AWS ALB: idle timeout 600; Caddy: read_timeout 10m; "
    "or let the proxy say something meanwhile: `stream: {ping: 15s}` of a class",
)
OLD_HTTP: Final = Rule(
    "front-http-1.0",
    _WARNING,
    "it speaks HTTP/1.0 to the proxy: a connection for each request, and streams whose end is not known",
    'nginx: proxy_http_version 1.1; proxy_set_header Connection ""',
)
CLOSES: Final = Rule(
    "front-closes",
    _NOTE,
    "it closes its connection to the proxy after each request",
    'nginx: keepalive 64 in upstream; proxy_set_header Connection ""',
)
UPGRADES: Final = Rule(
    "front-upgrades",
    _WARNING,
    "it asks for an upgrade (WebSocket) with each request",
    'nginx: proxy_set_header Connection "" and no Upgrade; the proxy speaks no WebSocket',
)
EATS_KEY: Final = Rule(
    "front-eats-key",
    _ERROR,
    "keys of clients do not arrive",
    "let Authorization and x-api-key through (nginx: no proxy_set_header for them); where it checks keys itself, let "
    "it name the client, and say so here: `auth: {header: x-forwarded-user, from: [ADDRESS]}`",
)
EATS_ASKED: Final = Rule(
    "front-eats-headers", _WARNING, "headers of requests do not arrive as they were sent", "let them through, unchanged"
)
EATS_ANSWER: Final = Rule(
    "front-eats-answers", _WARNING, "headers of answers do not come back", "nginx: no proxy_hide_header for them"
)
SIZE: Final = Rule(
    "front-size",
    _WARNING,
    "it refuses bodies that the proxy takes (limits.body.size): pictures and long prompts",
    "nginx: client_max_body_size 32m; Caddy: request_body max_size; ingress-nginx: proxy-body-size; or lower "
    "limits.body.size",
)
EXPECT: Final = Rule(
    "front-expect",
    _WARNING,
    "it refuses clients that ask before they send (Expect: 100-continue)",
    "let it pass or answer Expect; curl: -H 'Expect:' meanwhile",
)
WAITS: Final = Rule(
    "front-no-continue",
    _NOTE,
    "clients that ask before they send (Expect: 100-continue) get no word: they wait a second",
    "nothing has to be done for SDKs; curl: -H 'Expect:'",
)
ERRORS: Final = Rule(
    "front-replaces-errors",
    _WARNING,
    "it replaces errors, or their Retry-After: SDKs do not know what to do",
    "nginx: proxy_intercept_errors off; Caddy: no handle_response; others: no error pages of their own for 429 and 503",
)
REPEATS: Final = Rule(
    "front-repeats",
    _ERROR,
    "it sends requests again: engines work twice",
    "nginx: proxy_next_upstream off; HAProxy: retries 0, no retry-on; Envoy: no retry_policy",
)
HIDES: Final = Rule(
    "front-hides-leaving",
    _ERROR,
    "it does not tell that a client left: engines go on for nobody",
    "nginx: proxy_ignore_client_abort off; HAProxy: option abortonclose",
)
FAST: Final = Rule(
    "front-too-fast",
    _NOTE,
    "the engine's own stream came at once: nothing can be said of gathering",
    "let the doctor answer itself, at a port of its own: --listen; or name a slower model: --model",
)
NO_KEY: Final = Rule(
    "front-no-key",
    _NOTE,
    "the proxy asks for a key: no stream was seen",
    "set TIDEGATE_API_KEY, or let the doctor answer itself, at a port of its own: --listen",
)
NO_STREAM: Final = Rule(
    "front-no-stream",
    _NOTE,
    "the proxy gave no stream to compare with",
    "name a model: --model; or let the doctor answer itself, at a port of its own: --listen",
)
NOT_HERE: Final = Rule("front-not-looked-at", _WARNING, "the doctor could not look at it", "see what it says")
KEEP_ID: Final = "nginx: proxy_set_header X-Request-Id $http_x_request_id, where clients may name their requests"
ALL: Final = (
    *(WELL, AWAY, ELSEWHERE, REFUSES, PATH, BUFFERS, PACKS, CUTS),
    *(OLD_HTTP, CLOSES, UPGRADES, EATS_KEY, EATS_ASKED, EATS_ANSWER, SIZE),
    *(EXPECT, WAITS, ERRORS, REPEATS, HIDES, FAST, NO_KEY, NO_STREAM),
    NOT_HERE,
)
