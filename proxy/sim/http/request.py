"""What a generation request asks for, and what will be answered: decided before the engine computes anything.

Owns prompts, their token counts and the text of each choice. The engine only decides *when* each token comes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from proxy.sim.http import refusal
from proxy.sim.http.fields import Fields, token_lists
from proxy.sim.http.json_schema import instance_of
from proxy.sim.http.settings import SimSettings
from proxy.sim.http.text import (
    count_tokens,
    cut_at_stop,
    cut_tokens,
    natural_length,
    prefix_hashes,
    rng_for,
    sentence_tokens,
)

COMPLETION_DEFAULT_TOKENS = 16
"""vLLM's (and OpenAI's) `max_tokens` where a completion names none."""
CHOICES_MAX = 128
TEMPLATE_TOKENS = 8
"""Assumed: what a chat template adds per conversation."""
IMAGE_BYTES = 1024
"""Assumed: an image costs as much prompt as 1 KiB of text (256 tokens), whatever its size."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt as the engine sees it."""

    text: str
    tokens: int
    hashes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer, complete before it is computed."""

    index: int
    prompt: Prompt
    tokens: Sequence[str]
    finish_reason: str
    stop_reason: str | None = None
    tool: str | None = None
    """The function called; then `tokens` are its arguments."""


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """A validated request for text."""

    model: str
    stream: bool
    prompts: Sequence[Prompt]
    choices: Sequence[Choice]
    include_usage: bool = False
    continuous_usage: bool = False
    logprobs: int | None = None
    """Alternatives per token; None: no logprobs at all."""
    echo: bool = False
    token_ids: bool = False
    sampling: Mapping[str, Any] = field(default_factory=dict)


class RequestParser:
    """Bodies to Asks, for one backend."""

    def __init__(self, settings: SimSettings) -> None:
        self._settings = settings
        self._unseeded = 0

    def chat(self, body: Mapping[str, Any], given_text: str | None) -> GenerationRequest:
        """`/v1/chat/completions`."""
        fields = Fields(body)
        messages = fields.required("messages")
        if not isinstance(messages, list):
            raise refusal.invalid("list_type", "body.messages", "Input should be a valid list", messages)
        if not messages:
            raise refusal.bad_parameter("messages must not be empty.", "messages")
        begun = _begun_answer(fields, messages)
        turns = messages[:-1] if begun else messages
        text = "".join(_message_text(message, i) for i, message in enumerate(turns))
        tools = fields.sequence("tools")
        prompt = self._prompt((json.dumps(tools) if tools else "") + text, extra=TEMPLATE_TOKENS)
        limit_name = "max_completion_tokens" if body.get("max_completion_tokens") is not None else "max_tokens"
        writer = _ChatWriter(fields, given_text, _last_text(messages), begun)
        return self._ask(fields, [prompt], limit_name, None, writer)

    def completion(self, body: Mapping[str, Any], given_text: str | None) -> GenerationRequest:
        """`/v1/completions`."""
        fields = Fields(body)
        raw = body.get("prompt")
        if raw is None or raw == "":
            raise refusal.bad_parameter("Either prompt or prompt_embeds must be provided and non-empty.", "prompt")
        prompts = [self._prompt(one) for one in token_lists(raw, "prompt")]
        return self._ask(fields, prompts, "max_tokens", COMPLETION_DEFAULT_TOKENS, _Writer(fields, given_text))

    def responses(self, body: Mapping[str, Any], given_text: str | None) -> GenerationRequest:
        """`/v1/responses`: `input` is a string or a list of items."""
        fields = Fields(body)
        asked = fields.required("input")
        items = asked if isinstance(asked, list) else [{"role": "user", "content": asked}]
        text = str(body.get("instructions") or "") + "".join(_message_text(item, i) for i, item in enumerate(items))
        tools = fields.sequence("tools")
        prompt = self._prompt((json.dumps(tools) if tools else "") + text, extra=TEMPLATE_TOKENS)
        writer = _ChatWriter(fields, given_text, _last_text(items), "")
        return self._ask(fields, [prompt], "max_output_tokens", None, writer)

    def pooling(self, text: str | Sequence[int]) -> Prompt:
        """A prompt that is only computed."""
        return self._prompt(text)

    def _prompt(self, raw: str | Sequence[int], extra: int = 0) -> Prompt:
        spec = self._settings.spec
        text = raw if isinstance(raw, str) else ""
        size = len(raw) if not isinstance(raw, str) else -(-len(raw.encode("utf-8", "surrogatepass")) // 4)
        tokens = max(1, size + extra)
        if tokens >= spec.max_model_len:
            raise refusal.context_too_long(spec.max_model_len)
        return Prompt(text or repr(raw), tokens, prefix_hashes(raw, spec.prefix_tokens))

    def _ask(
        self, fields: Fields, prompts: list[Prompt], limit_name: str, limit_default: int | None, writer: "_Writer"
    ) -> GenerationRequest:
        model = fields.model(self._settings.models)
        limit = self._limit(fields, prompts, limit_name, limit_default)
        count = fields.integer("n", 1) or 0
        if not 1 <= count <= CHOICES_MAX:
            raise refusal.bad_parameter(f"n must be between 1 and {CHOICES_MAX}, got {count}.", "n", count)
        salt = self._salt(fields)
        options = fields.mapping("stream_options")
        choices = [
            writer.choice(p * count + k, prompt, limit, rng_for(prompt.text, *salt, k))
            for p, prompt in enumerate(prompts)
            for k in range(count)
        ]
        return GenerationRequest(
            model=model,
            stream=fields.flag("stream"),
            prompts=[choice.prompt for choice in choices[::count]],
            choices=choices,
            include_usage=bool(options.get("include_usage")),
            continuous_usage=bool(options.get("include_usage") and options.get("continuous_usage_stats")),
            logprobs=_logprobs(fields),
            echo=fields.flag("echo"),
            token_ids=fields.flag("return_token_ids"),
            sampling={"temperature": fields.number("temperature", 1.0), "top_p": fields.number("top_p", 1.0)},
        )

    def _limit(self, fields: Fields, prompts: list[Prompt], name: str, default: int | None) -> int:
        context = self._settings.spec.max_model_len
        room = context - max(prompt.tokens for prompt in prompts)
        limit = fields.integer(name)
        if limit is None:
            return room if default is None else min(default, room)
        if limit < 1:
            raise refusal.bad_parameter(f"{name} must be at least 1, got {limit}.", name, limit)
        if limit > context:
            message = (
                f"{name}={limit} cannot be greater than max_model_len={context}. Please request fewer output tokens."
            )
            raise refusal.bad_parameter(message, name, limit)
        return min(limit, room)

    def _salt(self, fields: Fields) -> tuple[object, ...]:
        """What the text depends on besides the prompt: nothing at temperature 0, else the seed or the occasion."""
        temperature = fields.number("temperature", 1.0)
        if temperature < 0:
            message = f"temperature must be non-negative, got {temperature}."
            raise refusal.bad_parameter(message, "temperature", temperature)
        seed = fields.integer("seed")
        if temperature == 0:
            return (self._settings.seed,)
        if seed is not None:
            return (self._settings.seed, seed)
        self._unseeded += 1
        return (self._settings.seed, "unseeded", self._settings.name, self._unseeded)


class _Writer:
    """The text of the answers to one request."""

    def __init__(self, fields: Fields, given_text: str | None, begun: str = "") -> None:
        self._fields = fields
        self._given_text = given_text
        self._begun = begun
        """The answer's first part, where the request holds it already; its tokens are part of the prompt."""
        self._stops = fields.stops()
        self._ignore_eos = fields.flag("ignore_eos")
        self._least = fields.integer("min_tokens", 0) or 0

    def choice(self, index: int, prompt: Prompt, limit: int, rng: Random) -> Choice:
        """One answer of at most `limit` tokens."""
        tool, fixed = (None, self._given_text) if self._given_text is not None else self.fixed_answer(rng)
        whole = cut_tokens(fixed) if fixed is not None else self._free_text(limit + len(self._begun), rng)
        if self._begun:
            prompt, whole = _continued(prompt, whole, self._begun)
        tokens, stop = cut_at_stop(whole, () if tool else self._stops)
        if len(tokens) > limit:
            return Choice(index, prompt, tokens[:limit], "length", None, tool)
        return Choice(index, prompt, tokens, "tool_calls" if tool else "stop", stop, tool)

    def fixed_answer(self, rng: Random) -> tuple[str | None, str | None]:
        """(function called, its arguments), or (None, text that the request dictates), or (None, None): free text."""
        return None, None

    def _free_text(self, limit: int, rng: Random) -> list[str]:
        """One token more than the limit where the answer would go on."""
        length = limit + 1 if self._ignore_eos else max(natural_length(rng), self._least)
        return sentence_tokens(rng, min(limit + 1, length))


class _ChatWriter(_Writer):
    """Chats may also call tools or answer in a structure; `/v1/responses` names functions without a level between."""

    def __init__(self, fields: Fields, given_text: str | None, last_text: str, begun: str) -> None:
        super().__init__(fields, given_text, begun)
        functions = [tool.get("function", tool) for tool in fields.sequence("tools") if isinstance(tool, dict)]
        self._functions = [function for function in functions if isinstance(function, dict) and function.get("name")]
        self._choice = fields.body.get("tool_choice") or ("auto" if self._functions else "none")
        self._format = fields.mapping("response_format")
        self._last_text = last_text
        if self._choice == "required" and not self._functions:
            raise refusal.bad_parameter("tool_choice requires tools.", "tools")

    def fixed_answer(self, rng: Random) -> tuple[str | None, str | None]:
        """A tool call, structured text, or neither."""
        function = self._called(rng)
        if function is not None:
            arguments = instance_of({"type": "object", **(function.get("parameters") or {})}, rng)
            return str(function["name"]), json.dumps(arguments, ensure_ascii=False)
        kind = self._format.get("type")
        if kind == "json_object":
            return None, json.dumps({"answer": "".join(sentence_tokens(rng, 8))}, ensure_ascii=False)
        if kind == "json_schema":
            schema = (self._format.get("json_schema") or {}).get("schema") or {"type": "object"}
            return None, json.dumps(instance_of(schema, rng), ensure_ascii=False)
        return None, None

    def _called(self, rng: Random) -> dict[str, Any] | None:
        """The function to call; with `auto`, one whose name the last message mentions."""
        if self._choice == "required":
            return rng.choice(self._functions)
        if isinstance(self._choice, dict):
            name = (self._choice.get("function") or self._choice).get("name")
            named = [function for function in self._functions if function["name"] == name]
            if not named:
                raise refusal.bad_parameter(f"The tool specified in `tool_choice` does not match any: {name}", "tools")
            return named[0]
        if self._choice == "auto":
            return next((f for f in self._functions if str(f["name"]) in self._last_text), None)
        return None


def _begun_answer(fields: Fields, messages: list[Any]) -> str:
    """The final assistant message that is to be continued; empty when there is none."""
    if not fields.flag("continue_final_message"):
        return ""
    if fields.body.get("add_generation_prompt", True):
        message = "Cannot set both `continue_final_message` and `add_generation_prompt` to True."
        raise refusal.bad_parameter(message, "continue_final_message")
    last = messages[-1]
    return _last_text(messages) if isinstance(last, dict) and last.get("role") == "assistant" else ""


def _continued(prompt: Prompt, answer: list[str], begun: str) -> tuple[Prompt, list[str]]:
    """The prompt with the tokens of `begun`, and the rest of the answer; all of it when it never began like that."""
    count, text = 0, ""
    while count < len(answer) and len(text) < len(begun):
        text += answer[count]
        count += 1
    if text != begun:
        return replace(prompt, tokens=prompt.tokens + count_tokens(begun)), answer
    return replace(prompt, tokens=prompt.tokens + count), answer[count:]


def _logprobs(fields: Fields) -> int | None:
    """`logprobs` is a flag in chats and a number in completions."""
    value = fields.body.get("logprobs")
    if value is None or value is False:
        return None
    return fields.integer("top_logprobs", 0) if value is True else fields.integer("logprobs")


def _message_text(message: Any, index: int) -> str:
    if not isinstance(message, dict):
        raise refusal.invalid("dict_type", f"body.messages.{index}", "Input should be a valid dictionary", message)
    said = _content_text(message["content"]) if "content" in message else json.dumps(message)  # calls and results
    return f"<|{message.get('role')}|>{said}"


def _content_text(content: Any) -> str:
    """Text as it is; an image or other part by its JSON, so that it counts by its size."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    return "".join(_part_text(part) for part in parts)


def _part_text(part: Any) -> str:
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return str(part["text"])
    digest = rng_for(json.dumps(part)).getrandbits(64)
    return f"<|part {digest:016x}|>" + "\x00" * IMAGE_BYTES


def _last_text(messages: list[Any]) -> str:
    last = messages[-1]
    return _content_text(last.get("content", last.get("output"))) if isinstance(last, dict) else ""
