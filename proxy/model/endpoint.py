"""What each endpoint is, and which routes lead to it: the two tables that everybody reads.

A route that only passes is one row of ROUTES. One that generates is a row of ENDPOINTS, too, and a reader of its events
in `wire/deltas`. Which engines have the routes that not all have is told by each engine's own file.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple


class Endpoint(StrEnum):
    """The endpoints we know by name. Closed: also a metric label; every other `/v1` route is OTHER."""

    CHAT = "chat.completions"
    CHAT_BATCH = "chat.completions.batch"
    """vLLM's: a list of conversations, one choice each."""
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    RESPONSES = "responses"
    MESSAGES = "messages"
    """Anthropic's `/v1/messages`."""
    TOKENS = "tokens"
    """Nothing is generated: `/tokenize`, `/v1/messages/count_tokens` and the like; what an engine says of itself."""
    POOLING = "pooling"
    """`/pooling`, `/classify` and the like."""
    STORED = "stored"
    """What an engine keeps: `/v1/responses/{id}`, `/v1/conversations` and all below them."""
    OLLAMA_CHAT = "api.chat"
    OLLAMA_GENERATE = "api.generate"
    OLLAMA_EMBED = "api.embed"
    OLLAMA_SHOW = "api.show"
    """What one model is, in its engine's words."""
    OLLAMA_LISTS = "api"
    """Which models there are, which are in memory, which version; answered by the proxy."""
    LLAMA_COMPLETION = "completion"
    """llama.cpp's own `/completion`."""
    LLAMA_INFILL = "infill"
    GENERATE = "generate"
    """TGI's own, and SGLang's."""
    GENERATE_STREAM = "generate_stream"
    REALTIME = "realtime"
    """A WebSocket."""
    HEALTH = "health"
    """Answered by the proxy."""
    TIMINGS = "timings"
    """What a request's time was spent on, told and reported; answered by the proxy."""
    MODERATIONS = "moderations"
    DECISIONS = "decisions"
    """OpenAI's `/v1/decisions`."""
    RERANK = "rerank"
    SCORE = "score"
    AUDIO = "audio"
    IMAGES = "images"
    MODELS = "models"
    OTHER = "other"


class Api(StrEnum):
    """In whose shapes a client reads errors and events."""

    OPENAI = "openai"
    RESPONSES = "responses"
    TYPED = "typed"
    """Images and audio: streams of events with a `type`."""
    MESSAGES = "messages"
    """Anthropic's."""
    OLLAMA = "ollama"
    """Lines of JSON, and errors that are a text."""
    LLAMA = "llama_cpp"
    """Errors as OpenAI has them; events of its own."""
    TGI = "tgi"
    """Flat errors, and events of its own."""


ENGINES_OWN: Final = frozenset({Api.OLLAMA, Api.LLAMA, Api.TGI})
"""APIs that are one engine's: its errors are what their clients read, as they are."""
_LIMITS: Final = (("max_completion_tokens",), ("max_tokens",), ("max_output_tokens",))


@dataclass(frozen=True, slots=True)
class Facts:
    """What is true of an endpoint. The defaults are those of one that a model works at and that generates no text."""

    api: Api = Api.OPENAI
    works: bool = True
    """A model works there, as far as is known; else its answers tell nothing of an engine's health or speed."""
    computes: bool = True
    """An engine's model may have work with it; else it takes nobody's turn, and nothing is promised of it."""
    repeatable: bool = True
    """Leaves nothing behind on a backend: sent twice it costs work and harms nobody."""
    mixed: bool = False
    """Routes of many kinds: what an engine lacks of one says nothing of the others."""
    names_model: bool = False
    """Its API says that a request names a model; elsewhere an engine may have one of its own for it."""
    generates: bool = False
    """Takes the parameters of a generation: `max_tokens`, `n`, `stop`, `tools`."""
    limits_at: tuple[tuple[str, ...], ...] = _LIMITS
    """Where a request says how long its answer may be, in tokens; names, outermost first."""
    streams: bool = False
    """Its answers are streams unless the body says `stream: false`."""
    one_prompt: bool = False
    """Its one prompt has the context for itself; of embeddings and rankings every input has."""
    tells_end: bool = False
    """Complete streams say so."""
    says_done: bool = False
    """… and end in `data: [DONE]`, but for engines that never say it."""
    rechunked: bool = False
    """Its events hold text that can be cut anew."""
    usage_on_request: bool = False
    """Its streams tell usage when `stream_options.include_usage` asks for it, where the engine knows that."""
    inputs: tuple[str, ...] = ()
    """The fields that hold one input or an array of them, so that several requests may become one; and…"""
    entries: str = ""
    """… where an answer has an entry for each input."""


_NUM_PREDICT: Final = (("options", "num_predict"),)
_N_PREDICT: Final = (("n_predict",), ("max_tokens",))
_NEW_TOKENS: Final = (("parameters", "max_new_tokens"), ("sampling_params", "max_new_tokens"))

ENDPOINTS: Final[dict[Endpoint, Facts]] = {
    Endpoint.CHAT: Facts(
        names_model=True,
        generates=True,
        one_prompt=True,
        tells_end=True,
        says_done=True,
        rechunked=True,
        usage_on_request=True,
    ),
    Endpoint.CHAT_BATCH: Facts(names_model=True, generates=True, tells_end=True),
    Endpoint.COMPLETIONS: Facts(
        names_model=True,
        generates=True,
        one_prompt=True,
        tells_end=True,
        says_done=True,
        rechunked=True,
        usage_on_request=True,
        inputs=("prompt",),
        entries="choices",
    ),
    Endpoint.RESPONSES: Facts(
        Api.RESPONSES,
        repeatable=False,  # it may store its answer
        names_model=True,
        generates=True,
        one_prompt=True,
        tells_end=True,
        rechunked=True,
    ),
    Endpoint.MESSAGES: Facts(Api.MESSAGES, names_model=True, generates=True, tells_end=True, rechunked=True),
    Endpoint.EMBEDDINGS: Facts(names_model=True, inputs=("input",), entries="data"),
    Endpoint.DECISIONS: Facts(names_model=True),
    Endpoint.MODERATIONS: Facts(inputs=("input",), entries="results"),
    Endpoint.RERANK: Facts(inputs=("documents",), entries="results"),
    Endpoint.SCORE: Facts(inputs=("text_1", "text_2"), entries="data"),
    Endpoint.POOLING: Facts(),
    Endpoint.AUDIO: Facts(Api.TYPED),
    Endpoint.IMAGES: Facts(Api.TYPED),
    Endpoint.TOKENS: Facts(works=False, computes=False),
    Endpoint.STORED: Facts(Api.RESPONSES, works=False, computes=False, repeatable=False, mixed=True),
    Endpoint.OLLAMA_CHAT: Facts(
        Api.OLLAMA,
        names_model=True,
        generates=True,
        limits_at=_NUM_PREDICT,
        streams=True,
        one_prompt=True,
        tells_end=True,
    ),
    Endpoint.OLLAMA_GENERATE: Facts(
        Api.OLLAMA,
        names_model=True,
        generates=True,
        limits_at=_NUM_PREDICT,
        streams=True,
        one_prompt=True,
        tells_end=True,
    ),
    Endpoint.OLLAMA_EMBED: Facts(Api.OLLAMA, names_model=True),
    Endpoint.OLLAMA_SHOW: Facts(Api.OLLAMA, works=False, computes=False, names_model=True),
    Endpoint.OLLAMA_LISTS: Facts(Api.OLLAMA, works=False, repeatable=False),
    Endpoint.LLAMA_COMPLETION: Facts(Api.LLAMA, generates=True, limits_at=_N_PREDICT, tells_end=True),
    Endpoint.LLAMA_INFILL: Facts(Api.LLAMA, generates=True, limits_at=_N_PREDICT, one_prompt=True, tells_end=True),
    Endpoint.GENERATE: Facts(Api.TGI, generates=True, limits_at=_NEW_TOKENS, one_prompt=True, tells_end=True),
    Endpoint.GENERATE_STREAM: Facts(
        Api.TGI, generates=True, limits_at=_NEW_TOKENS, streams=True, one_prompt=True, tells_end=True
    ),
    Endpoint.REALTIME: Facts(works=False, computes=False, repeatable=False),
    Endpoint.HEALTH: Facts(works=False, repeatable=False),
    Endpoint.TIMINGS: Facts(works=False, repeatable=False),
    Endpoint.MODELS: Facts(works=False, repeatable=False, mixed=True),
    Endpoint.OTHER: Facts(works=False, repeatable=False, mixed=True),  # they may do anything
}

POST: Final = frozenset({"POST"})
GET: Final = frozenset({"GET", "HEAD"})
ANY: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


class Served(StrEnum):
    """Who has a route."""

    EVERYWHERE = "everywhere"
    """Every kind of engine may be asked for it. Also known without `/v1`, for careless base URLs."""
    SOMEWHERE = "somewhere"
    """Some kinds of engines, at exactly this path."""
    HERE = "here"
    """The proxy tells it of itself."""


class Row(NamedTuple):
    """One route."""

    path: str
    """One that ends in a slash stands for all below it."""
    endpoint: Endpoint
    served: Served = Served.EVERYWHERE
    methods: frozenset[str] = POST
    json_only: bool = True
    """The body is JSON or nothing; other types are answered 415."""


CHAT_PATH: Final = "/v1/chat/completions"
ROUTES: Final = (
    Row(CHAT_PATH, Endpoint.CHAT),
    Row("/v1/chat/completions/batch", Endpoint.CHAT_BATCH, Served.SOMEWHERE),
    Row("/v1/completions", Endpoint.COMPLETIONS),
    Row("/v1/embeddings", Endpoint.EMBEDDINGS),
    Row("/v1/responses", Endpoint.RESPONSES),
    Row("/v1/responses/compact", Endpoint.RESPONSES),
    Row("/v1/responses/input_tokens", Endpoint.TOKENS),
    Row("/v1/responses/", Endpoint.STORED, methods=ANY, json_only=False),
    Row("/v1/conversations", Endpoint.STORED, json_only=False),
    Row("/v1/conversations/", Endpoint.STORED, methods=ANY, json_only=False),
    Row("/v1/messages", Endpoint.MESSAGES),
    Row("/v1/messages/count_tokens", Endpoint.TOKENS),
    Row("/v1/moderations", Endpoint.MODERATIONS),
    Row("/v1/decisions", Endpoint.DECISIONS),
    Row("/v1/models/", Endpoint.MODELS, methods=GET),
    Row("/v1/tidegate/requests/", Endpoint.CHAT, methods=frozenset({"POST"})),
    Row("/v1/realtime", Endpoint.REALTIME, methods=ANY),
    Row("/v1/audio/", Endpoint.AUDIO, methods=ANY, json_only=False),
    Row("/v1/images/", Endpoint.IMAGES, methods=ANY, json_only=False),
    Row("/v1/rerank", Endpoint.RERANK, Served.SOMEWHERE),
    Row("/v1/reranking", Endpoint.RERANK, Served.SOMEWHERE),
    Row("/v2/rerank", Endpoint.RERANK, Served.SOMEWHERE),
    Row("/rerank", Endpoint.RERANK, Served.SOMEWHERE),
    Row("/reranking", Endpoint.RERANK, Served.SOMEWHERE),
    Row("/v1/score", Endpoint.SCORE, Served.SOMEWHERE),
    Row("/score", Endpoint.SCORE, Served.SOMEWHERE),
    Row("/v1/classify", Endpoint.POOLING, Served.SOMEWHERE),
    Row("/classify", Endpoint.POOLING, Served.SOMEWHERE),
    Row("/pooling", Endpoint.POOLING, Served.SOMEWHERE),
    Row("/encode", Endpoint.POOLING, Served.SOMEWHERE),
    Row("/predict", Endpoint.POOLING, Served.SOMEWHERE),
    Row("/similarity", Endpoint.POOLING, Served.SOMEWHERE),
    Row("/v2/embed", Endpoint.POOLING, Served.SOMEWHERE),
    Row("/embed", Endpoint.EMBEDDINGS, Served.SOMEWHERE),
    Row("/embed_all", Endpoint.EMBEDDINGS, Served.SOMEWHERE),
    Row("/embed_sparse", Endpoint.EMBEDDINGS, Served.SOMEWHERE),
    Row("/embedding", Endpoint.EMBEDDINGS, Served.SOMEWHERE),
    Row("/v1/tokenize", Endpoint.TOKENS, Served.SOMEWHERE),
    Row("/v1/detokenize", Endpoint.TOKENS, Served.SOMEWHERE),
    Row("/tokenize", Endpoint.TOKENS, Served.SOMEWHERE),
    Row("/detokenize", Endpoint.TOKENS, Served.SOMEWHERE),
    Row("/chat_tokenize", Endpoint.TOKENS, Served.SOMEWHERE),
    Row("/apply-template", Endpoint.TOKENS, Served.SOMEWHERE),
    Row("/props", Endpoint.TOKENS, Served.SOMEWHERE, GET),
    Row("/info", Endpoint.TOKENS, Served.SOMEWHERE, GET),
    Row("/completion", Endpoint.LLAMA_COMPLETION, Served.SOMEWHERE),
    Row("/infill", Endpoint.LLAMA_INFILL, Served.SOMEWHERE),
    Row("/generate", Endpoint.GENERATE, Served.SOMEWHERE),
    Row("/generate_stream", Endpoint.GENERATE_STREAM, Served.SOMEWHERE),
    Row("/api/chat", Endpoint.OLLAMA_CHAT, Served.SOMEWHERE),
    Row("/api/generate", Endpoint.OLLAMA_GENERATE, Served.SOMEWHERE),
    Row("/api/embed", Endpoint.OLLAMA_EMBED, Served.SOMEWHERE),
    Row("/api/embeddings", Endpoint.OLLAMA_EMBED, Served.SOMEWHERE),
    Row("/api/show", Endpoint.OLLAMA_SHOW, Served.SOMEWHERE),
    Row("/api/tags", Endpoint.OLLAMA_LISTS, Served.SOMEWHERE, GET),
    Row("/api/ps", Endpoint.OLLAMA_LISTS, Served.SOMEWHERE, GET),
    Row("/api/version", Endpoint.OLLAMA_LISTS, Served.SOMEWHERE, GET),
    Row("/", Endpoint.GENERATE, Served.SOMEWHERE, GET | POST),
    Row("/invocations", Endpoint.OTHER, Served.SOMEWHERE),
    Row("/cohere/v2/chat", Endpoint.OTHER, Served.SOMEWHERE),
    Row("/inference/v1/generate", Endpoint.OTHER, Served.SOMEWHERE),
    Row("/health", Endpoint.HEALTH, Served.HERE, GET),
    Row("/v1/health", Endpoint.HEALTH, Served.HERE, GET),
    Row("/ping", Endpoint.HEALTH, Served.HERE, GET),
    Row("/version", Endpoint.HEALTH, Served.HERE, GET),
)
"""A path that has no row is OTHER if it lies under `/v1/`, else unknown."""

SOMEWHERE: Final = frozenset(row.path for row in ROUTES if row.served is Served.SOMEWHERE)
ROUTE_LABEL: Final = "route="
"""With a path of SOMEWHERE behind it: the label that backends have whose engine has that route."""
ROUTE_LABELS: Final = frozenset(ROUTE_LABEL + path for path in SOMEWHERE)
