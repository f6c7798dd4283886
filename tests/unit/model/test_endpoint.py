"""The table of endpoints is whole and agrees with itself."""

from proxy.model.endpoint import ENDPOINTS, ROUTE_LABEL, ROUTE_LABELS, ROUTES, SOMEWHERE, Api, Endpoint, Served


def named(**wanted: bool) -> set[Endpoint]:
    return {
        endpoint
        for endpoint, facts in ENDPOINTS.items()
        if all(getattr(facts, name) is value for name, value in wanted.items())
    }


def test_every_endpoint_has_its_row() -> None:
    assert set(ENDPOINTS) == set(Endpoint)


def test_what_may_leave_something_behind_is_never_sent_twice() -> None:
    assert named(repeatable=False) == {
        Endpoint.RESPONSES,
        Endpoint.STORED,
        Endpoint.REALTIME,
        Endpoint.HEALTH,
        Endpoint.TIMINGS,
        Endpoint.MODELS,
        Endpoint.OLLAMA_LISTS,
        Endpoint.OTHER,
    }


def test_where_nothing_works_nothing_is_learnt() -> None:
    own = {Endpoint.HEALTH, Endpoint.TIMINGS, Endpoint.MODELS, Endpoint.OLLAMA_LISTS}
    free = {Endpoint.TOKENS, Endpoint.STORED, Endpoint.REALTIME, Endpoint.OLLAMA_SHOW}
    assert named(works=False) == {*free, Endpoint.OTHER} | own
    assert named(computes=False) == free
    assert named(mixed=True) <= named(works=False)


def test_what_generates_tells_its_end_and_names_its_model() -> None:
    generating = named(generates=True)
    assert generating == named(tells_end=True)
    nameless = {endpoint for endpoint in generating if ENDPOINTS[endpoint].api in (Api.LLAMA, Api.TGI)}
    assert generating - nameless < named(names_model=True)
    assert generating <= {endpoint for endpoint, facts in ENDPOINTS.items() if facts.limits_at}
    assert named(streams=True) < generating
    assert named(says_done=True) <= named(rechunked=True) <= generating
    assert named(usage_on_request=True) <= named(says_done=True)


def test_no_path_has_two_rows() -> None:
    paths = [row.path for row in ROUTES]
    assert len(set(paths)) == len(paths)
    assert all(path.startswith("/") for path in paths)


def test_every_engine_is_asked_for_json_but_below_a_prefix() -> None:
    assert {row.endpoint for row in ROUTES if not row.json_only} == {Endpoint.AUDIO, Endpoint.IMAGES, Endpoint.STORED}
    assert all(row.path.startswith("/v1/") for row in ROUTES if row.served is Served.EVERYWHERE)
    assert {row.endpoint for row in ROUTES if row.served is Served.HERE} == {Endpoint.HEALTH}


def test_other_apis_than_openais() -> None:
    assert {endpoint: facts.api for endpoint, facts in ENDPOINTS.items() if facts.api is not Api.OPENAI} == {
        Endpoint.RESPONSES: Api.RESPONSES,
        Endpoint.STORED: Api.RESPONSES,
        Endpoint.MESSAGES: Api.MESSAGES,
        Endpoint.AUDIO: Api.TYPED,
        Endpoint.IMAGES: Api.TYPED,
        Endpoint.OLLAMA_CHAT: Api.OLLAMA,
        Endpoint.OLLAMA_GENERATE: Api.OLLAMA,
        Endpoint.OLLAMA_EMBED: Api.OLLAMA,
        Endpoint.OLLAMA_SHOW: Api.OLLAMA,
        Endpoint.OLLAMA_LISTS: Api.OLLAMA,
        Endpoint.LLAMA_COMPLETION: Api.LLAMA,
        Endpoint.LLAMA_INFILL: Api.LLAMA,
        Endpoint.GENERATE: Api.TGI,
        Endpoint.GENERATE_STREAM: Api.TGI,
    }


def test_labels_of_routes() -> None:
    assert {label.removeprefix(ROUTE_LABEL) for label in ROUTE_LABELS} == SOMEWHERE
    assert "/" in SOMEWHERE
    assert "/v1/chat/completions" not in SOMEWHERE
