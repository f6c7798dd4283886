"""Paths: every spelling of the routes we know, what is forwarded as it is, and what is nobody's."""

import pytest

from proxy.model.endpoint import Endpoint
from proxy.model.faults import FaultError, Kind
from proxy.wire.routes import route
from tests.unit.wire.asking import fault_of

KNOWN = {
    "chat/completions": Endpoint.CHAT,
    "completions": Endpoint.COMPLETIONS,
    "embeddings": Endpoint.EMBEDDINGS,
    "responses": Endpoint.RESPONSES,
    "moderations": Endpoint.MODERATIONS,
    "messages": Endpoint.MESSAGES,
    "messages/count_tokens": Endpoint.TOKENS,
}


@pytest.mark.parametrize("path", KNOWN)
@pytest.mark.parametrize(
    "spelling",
    [
        "/v1/{}",
        "/v1/{}/",
        "/{}",
        "/{}/",
        "http://evil.example/v1/{}",
        "HTTPS://u@evil:1/{}/",
        "/v1/v1/{}",
        "/v1/v1/{}/",
    ],
)
def test_every_spelling_of_a_known_route(path: str, spelling: str) -> None:
    found = route(spelling.format(path).encode())
    assert (found.endpoint, found.target) == (KNOWN[path], f"/v1/{path}")
    assert found.json_only
    assert found.methods == {"POST"}


@pytest.mark.parametrize(
    "target", ["/v1/%63hat/completions", "/v1/chat%2Fcompletions", "/v1/chat%2fcompletion%73/", "/chat/%63ompletions"]
)
def test_percent_encoding_hides_no_route_from_its_checks(target: str) -> None:
    found = route(target.encode())
    assert (found.endpoint, found.target) == (Endpoint.CHAT, "/v1/chat/completions")


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/v1/rerank", Endpoint.RERANK),
        ("/rerank", Endpoint.RERANK),
        ("/v2/rerank", Endpoint.RERANK),
        ("/v1/score", Endpoint.SCORE),
        ("/score", Endpoint.SCORE),
        ("/tokenize", Endpoint.TOKENS),
        ("/v1/tokenize", Endpoint.TOKENS),
        ("/detokenize", Endpoint.TOKENS),
        ("/apply-template", Endpoint.TOKENS),
        ("/pooling", Endpoint.POOLING),
        ("/classify", Endpoint.POOLING),
        ("/infill", Endpoint.LLAMA_INFILL),
        ("/completion", Endpoint.LLAMA_COMPLETION),
        ("/generate", Endpoint.GENERATE),
        ("/generate_stream", Endpoint.GENERATE_STREAM),
        ("/api/chat", Endpoint.OLLAMA_CHAT),
        ("/api/generate", Endpoint.OLLAMA_GENERATE),
        ("/api/embed", Endpoint.OLLAMA_EMBED),
        ("/api/embeddings", Endpoint.OLLAMA_EMBED),
        ("/api/show", Endpoint.OLLAMA_SHOW),
        ("/inference/v1/generate", Endpoint.OTHER),
    ],
)
@pytest.mark.parametrize("spelling", ["{}", "{}/", "http://evil.example{}"])
def test_engines_routes_keep_their_own_path(path: str, endpoint: Endpoint, spelling: str) -> None:
    found = route(spelling.format(path).encode())
    assert (found.endpoint, found.target, found.plain) == (endpoint, path, path)
    assert (found.methods, found.json_only) == ({"POST"}, True)
    assert route(f"{path}?a=1".encode()).target == f"{path}?a=1"


@pytest.mark.parametrize("path", ["/health", "/v1/health", "/ping", "/version", "/health/", "/health?x=1"])
def test_what_the_proxy_tells_of_itself(path: str) -> None:
    found = route(path.encode())
    assert (found.endpoint, found.item) == (
        Endpoint.HEALTH,
        path.strip("/").partition("?")[0].rpartition("/")[2].rstrip("/"),
    )
    assert found.methods == {"GET", "HEAD"}


def test_more_paths_where_the_operator_says_so() -> None:
    extra = ("/api/chat", "/v1/load_*", "/future/*")
    assert route(b"/api/chat?x=1", extra)[:2] == (Endpoint.OLLAMA_CHAT, "/api/chat?x=1")
    assert route(b"/v1/load_lora_adapter", extra).plain == ""
    assert route(b"/future/a/b", extra).target == "/future/a/b"
    for target in (b"/api/chatter", b"/api/pull", b"/future"):
        assert fault_of(route, target, extra).kind is Kind.UNKNOWN_ROUTE
    assert route(b"/v1/chat/completions", ("/*",)).endpoint is Endpoint.CHAT


def test_what_is_not_known_under_v1_is_to_be_asked_of_the_engines_lists() -> None:
    assert route(b"/v1/%6coad_lora_adapter").plain == "/v1/load_lora_adapter"
    assert route(b"/v1/future/thing?a=/x").plain == "/v1/future/thing"
    assert route(b"/v1/audio/speech").plain == route(b"/v1/chat/completions").plain == ""


def test_a_query_stays() -> None:
    assert route(b"/v1/completions?a=1&b=%2F?c").target == "/v1/completions?a=1&b=%2F?c"
    assert route(b"/completions/?").target == "/v1/completions?"
    assert route(b"/v1/files?to=http://x/y").target == "/v1/files?to=http://x/y"


@pytest.mark.parametrize(
    ("target", "endpoint", "forwarded"),
    [
        ("/v1/audio/transcriptions", Endpoint.AUDIO, "/v1/audio/transcriptions"),
        ("/audio/speech?a=b", Endpoint.AUDIO, "/v1/audio/speech?a=b"),
        ("/v1/%61udio/speech", Endpoint.AUDIO, "/v1/%61udio/speech"),
        ("/v1/images/edits", Endpoint.IMAGES, "/v1/images/edits"),
        ("/v1/files/a%20b", Endpoint.OTHER, "/v1/files/a%20b"),
        ("/v1/responses/resp_1/cancel", Endpoint.STORED, "/v1/responses/resp_1/cancel"),
        ("/responses/resp_1?stream=true", Endpoint.STORED, "/v1/responses/resp_1?stream=true"),
        ("/v1/conversations/conv_1/items", Endpoint.STORED, "/v1/conversations/conv_1/items"),
        ("http://h/v1/files", Endpoint.OTHER, "/v1/files"),
        ("/v1/http:/x", Endpoint.OTHER, "/v1/http:/x"),
    ],
)
def test_other_routes_take_any_body(target: str, endpoint: Endpoint, forwarded: str) -> None:
    found = route(target.encode())
    assert (found.endpoint, found.target, found.json_only) == (endpoint, forwarded, False)
    assert {"GET", "POST", "DELETE"} <= found.methods


@pytest.mark.parametrize(
    "target",
    ["/v1/models", "/v1/models/", "/models", "/models/", "/v1/models?limit=3", "/v1/v1/models", "/v1/v1/v1/models/"],
)
def test_the_model_list(target: str) -> None:
    found = route(target.encode())
    assert (found.endpoint, found.item, found.methods) == (Endpoint.MODELS, "", {"GET", "HEAD"})


@pytest.mark.parametrize(
    ("target", "item"),
    [
        ("/v1/models/a", "a"),
        ("/models/org/name", "org/name"),
        ("/v1/models/org%2Fname", "org/name"),
        ("/v1/models/na%C3%AFve", "naïve"),
        ("/v1/models/a%20b", "a b"),
        ("/v1/v1/models/org/name", "org/name"),
    ],
)
def test_one_model(target: str, item: str) -> None:
    assert route(target.encode()).item == item


@pytest.mark.parametrize(
    "target",
    [
        "/v1",
        "/v1/",
        "/metrics",
        "/admin",
        "/v2/chat/completions",
        "/V1/models",
        "/chat",
        "http://h/metrics",
        "/api",
        "/api/pull",
        "/api/delete",
        "/api/create",
        "/api/copy",
        "/api/push",
        "/api/blobs/sha256:0",
        "/slots",
        "/v1//chat/completions",
        "//v1/chat/completions",
        "/v1/../admin",
        "/v1/%2e%2e/admin",
        "/v1/files/%2E%2e%2Fadmin",
        "/v1/./models",
        "/v1/images/http://evil/v1/chat/completions",
        "/v1/a%2f%2fb",
        "/%76%31/files",
    ],
)
def test_nobodys_paths(target: str) -> None:
    fault = fault_of(route, target.encode())
    assert (fault.kind, fault.code) == (Kind.UNKNOWN_ROUTE, "unknown_url")


@pytest.mark.parametrize(
    "target",
    [
        b"*",
        b"",
        b"v1/models",
        b"/v1/a\\b",
        b"/v1/a%5Cb",
        b"/v1/a%00",
        b"/v1/a%0d%0aHost:x",
        b"/v1/a%7f",
        b"/v1/models/%c0%ae",
        b"/v1/models/%E2%80%AEabc",
        b"/v1/models/a%E2%80%A8b",
        b"/v1/models/%ff",
        "/v1/é".encode(),
        b'/v1/"x"',
        b"/v1/<x>",
        b"/v1/a b",
        b"/v1/a|b",
    ],
)
def test_malformed_paths(target: bytes) -> None:
    assert fault_of(route, target).kind is Kind.MALFORMED


def test_a_message_echoes_at_most_64_safe_characters() -> None:
    fault = fault_of(route, b"/metrics/" + b"a" * 4000)
    assert "a" * 56 not in fault.message
    assert "/metrics/" + "a" * 55 in fault.message
    assert fault.message.isprintable()


@pytest.mark.parametrize(
    ("target", "endpoint", "item", "methods"),
    [
        ("/v1/tidegate/requests/req-1", Endpoint.TIMINGS, "req-1", {"GET", "HEAD"}),
        ("/tidegate/requests/a%2Fb", Endpoint.TIMINGS, "a/b", {"GET", "HEAD"}),
        ("/v1/tidegate/requests/a/b/stages", Endpoint.TIMINGS, "a/b", {"POST"}),
        ("/v1/tidegate/requests/stages", Endpoint.TIMINGS, "stages", {"GET", "HEAD"}),
        ("/v1/tidegate/requests/req-1/expand", Endpoint.CHAT, "req-1", {"POST"}),
    ],
)
def test_what_there_is_of_one_request(target: str, endpoint: Endpoint, item: str, methods: set[str]) -> None:
    found = route(target.encode())
    assert (found.endpoint, found.item, found.methods) == (endpoint, item, methods)


@pytest.mark.parametrize("target", ["/v1/tidegate/requests/", "/v1/tidegate/requests/a%00", "/v1/tidegate/requests//x"])
def test_no_request_has_such_an_id(target: str) -> None:
    with pytest.raises(FaultError):
        route(target.encode())


@pytest.mark.parametrize("target", ["/", "http://h", "http://h/", "/?x=1"])
def test_what_clients_look_for_at_the_root(target: str) -> None:
    found = route(target.encode())
    assert (found.endpoint, found.plain, found.methods) == (Endpoint.GENERATE, "/", {"GET", "HEAD", "POST"})


@pytest.mark.parametrize("target", ["/api/tags", "/api/ps", "/api/version", "/props", "/info", "/props/?model=x"])
def test_what_engines_tell_is_only_read(target: str) -> None:
    assert route(target.encode()).methods == {"GET", "HEAD"}
