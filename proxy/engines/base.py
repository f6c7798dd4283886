"""What is to be known of a kind of engine. One file beside this one says it of one kind; `registry` lists them.

Owns the questions, not the answers. What a kind does not say is as the defaults have it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from proxy.engines.load import LoadSource
from proxy.engines.trap import Trap
from proxy.model.abilities import PLAIN, Lack, Traits
from proxy.model.endpoint import ENDPOINTS, Endpoint
from proxy.model.whole_answers import WholeAnswers

Fields = Mapping[str, Any]

ASKED_FOR_USAGE: Final = frozenset(endpoint for endpoint, facts in ENDPOINTS.items() if facts.usage_on_request)
"""Where `stream_options` are part of OpenAI's API."""
RANKING: Final = frozenset({"/v1/rerank", "/v1/score"})
TOKENS: Final = frozenset({"/tokenize", "/detokenize"})
MAX_MODEL_LEN: Final = ("max_model_len",)
STATUS: Final = ("status", "value")
LOADED: Final = "loaded"


class Sign(NamedTuple):
    """A route of its own that tells an engine which its model list does not give away."""

    path: str
    reads: Callable[[bytes], bool]
    """Whether the body of a 200 is this kind's."""
    is_worth_asking: Callable[[list[Any], str], bool]
    """Whether an engine with these model names and `Server` header may be one. Of most others nothing is asked: vendors
    count requests."""


class ModelCard(NamedTuple):
    """What an engine says of one model, loaded or not."""

    context: int | None = None
    """Tokens that it has at most; None: not told."""
    lacks: frozenset[Lack] = frozenset()
    """What it says that the model cannot."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of engine is told, what it has, and how it speaks."""

    kind: str

    spellings: tuple[str, ...] = ()
    """How else its name is written; case, dots, dashes and underscores aside, those are understood."""
    mistaken: tuple[str, ...] = ()
    """What is not its name, but may have been meant; folded: small letters and digits alone."""
    selectable: bool = True
    """May be configured by name; else it is only recognised."""

    owners: tuple[str, ...] = ()
    """`owned_by` of its models."""
    server: str = ""
    """What its `Server` header holds, and no other's."""
    hosts: frozenset[str] = frozenset()
    """Host names of its URL that no other has."""
    is_entry: Callable[[Fields], bool] | None = None
    """Whether an entry of a model list is its kind's, where the owner does not tell."""
    sign: Sign | None = None
    ports: tuple[int, ...] = ()
    """Where it usually listens."""

    key_header: str = ""
    """Where it reads its operator's key; empty: as a bearer token in `authorization`, as do…"""
    bearer_at: frozenset[str] = frozenset()
    """… these paths of it all the same."""
    always_says: tuple[tuple[str, str], ...] = ()
    """Headers that every other request to it must have: clients' own go before."""

    models_at: str = "/v1/models"
    """Where it lists all its models as OpenAI does: a path, and a query where it would tell some of them only."""
    context_at: tuple[str, ...] = ()
    """Where an entry of its model list tells the context length in tokens: names, outermost first."""
    state_at: tuple[str, ...] = ()
    """Where it tells whether the model is in memory: `loaded` is."""
    loads: tuple[LoadSource, ...] = ()
    """Where it tells its load; each may be switched off in the engine. All are asked, in this order: what one tells, a
    later one need not."""

    in_memory: LoadSource | None = None
    """Where it tells which of its models are in memory, without loading one; None: all that it lists."""

    tells: frozenset[str] = frozenset()
    """Facts of itself that it may tell, of those that rules may name (`engine_facts.NAMED`)."""

    lists_at: str = ""
    """Where it lists its models in its own words, which its clients ask for; empty: nowhere."""
    card_at: str = ""
    """Where it tells of one model, asked by POST with its name as `model`, without loading it; empty: nowhere."""
    card: Callable[[bytes], ModelCard] | None = None
    """Reads the body of a 200 there."""
    greeting: bytes = b""
    """What it says at `/`, where its clients look whether it is there."""
    routes: frozenset[str] = frozenset()
    """What it has for its clients beside the API that all are asked for: decoded paths."""
    has_other_routes: bool = False
    """… and it may have more below `/v1/`."""
    refusals: Mapping[Lack, tuple[str, ...]] = field(default_factory=dict)
    """How an error begins that says what an engine lacks: regular expressions, whatever the case; the first group that
    is there is the limit, in tokens. Only beginnings: engines repeat what clients wrote, and nobody shall teach us by
    it."""

    no_model: tuple[str, ...] = ()
    """How an error begins that says that a model is not there: regular expressions, as above."""
    mistakes: tuple[str, ...] = ()
    """How a 500 begins that is the client's mistake."""
    finish_reasons: Mapping[str, str] = field(default_factory=dict)
    """Its own words for why a text ends → OpenAI's."""
    zero_usage: frozenset[Endpoint] = frozenset()
    """Where each event of a stream has a usage of zeros, but for the last one."""
    strips: tuple[str, ...] = ()
    """Fields of requests that it refuses, and that change no answer: hints for other engines."""
    max_answer: int | None = None
    """Tokens of the longest answer that it is asked for, unless its operator allows more; None: any."""
    health: str = ""
    """Where it says 503 when it cannot serve, though it lists its models still; empty: nowhere, or not cheaply."""

    health_every_s: float = 0.0
    """Not to be asked for it more often; 0: with every probe."""
    streams_unless_told: frozenset[Endpoint] = frozenset()
    """Where it streams unless the body says `stream: false`, which clients leave out."""

    says_done: bool = True
    """Ends a complete stream with `data: [DONE]`."""
    answers_500_to_bad_requests: bool = False
    """A 500 may be the client's fault, so it does not count against the backend."""
    streamed_whole: WholeAnswers | None = None
    """What it gives in one piece it is asked for as a stream, since it stops for a client that left only, or sooner,
    while it streams: how its whole answers differ from what its streams amount to. None: it stops for both."""
    usage_on_request: frozenset[Endpoint] = frozenset()
    """Endpoints whose streams tell usage only when `stream_options.include_usage` asks for it."""
    cached_flag: str = ""
    """What makes it tell `cached_tokens`, where it does not by itself."""
    continuous_usage: bool = False
    """Knows `stream_options.continuous_usage_stats`: usage in every event."""
    one_token_per_event: bool = False
    """Never packs several tokens into one event of a stream."""
    continues_chat: bool = False
    """Goes on with a final assistant message: `continue_final_message`, as Hugging Face chat templates mean it."""
    continues_text: bool = False
    """Takes the prompt of a completion as it stands (no template around it), so that its own text may be added."""
    cuts_prompts: bool = False
    """Takes a prompt that is longer than its context, and leaves a part of it out without a word."""
    outruns_context: bool = False
    """May go on when its context is full, without the beginning of it, and does not say so."""
    salts_cache: bool = False
    """Knows `cache_salt` in the body: prompts with different ones share no prefix of its cache."""
    revision_route: str = ""
    """Where it tells which weights its models are of, where its model list does not; empty: nowhere."""
    revisions: Callable[[bytes], dict[str, str]] | None = None
    """Reads the body of a 200 there: model → anything that changes with its weights."""
    traps: tuple[Trap, ...] = ()
    """What of its set-up is worth a word; its table stands in `traps/`."""
    trap_routes: tuple[str, ...] = ()
    """What is to be asked for them, beside `loads` and its version: routes that change nothing and wake nobody."""
    traits: Traits = PLAIN
    """What the core has to know of it."""
