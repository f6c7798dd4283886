"""What engines tell of their caches, and what is said where they do not."""

import json

import pytest

from proxy.cli.main import main
from tests.support.fake_backend import Exchange
from tests.support.fake_engine import answer_to, json_answer, send_answer

PATH = "/v1/chat/completions"
CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "x"}]}


async def silent(exchange: Exchange) -> None:
    """A good answer that tells no cached tokens."""
    answer = answer_to(exchange.request, exchange.backend.models)
    if answer.events is None and b"prompt_tokens_details" in answer.body:
        told = json.loads(answer.body)
        del told["usage"]["prompt_tokens_details"]
        answer = json_answer(told)
    await send_answer(exchange, answer)


@pytest.mark.parametrize(
    ("kind", "flag"), [("vllm", "--enable-prompt-tokens-details"), ("sglang", "--enable-cache-report"), ("openai", "")]
)
def test_the_flag_that_is_missing_is_named(start_pair, capsys, kind: str, flag: str) -> None:
    _, proxy = start_pair(entry={"kind": kind}, default=silent)
    for _ in range(8):
        assert proxy.ask("POST", PATH, CHAT).status == 200
    assert proxy.metrics().total("tidegate_cached_untold_total", backend="alpha") == 8
    assert main(["prefix", "report", "--admin", proxy.admin_url]) == 0
    said = capsys.readouterr().out
    assert (f"backend alpha ({kind}) does not tell" in said) is bool(flag)
    assert flag in said


def test_marks_of_clients_reach_the_engine(start_pair) -> None:
    engine, proxy = start_pair()
    marked = {
        "type": "text",
        "text": "x",
        "cache_control": {"type": "ephemeral"},
        "prompt_cache_breakpoint": {"mode": "explicit"},
    }
    body = {
        **CHAT,
        "messages": [{"role": "user", "content": [marked]}],
        "prompt_cache_key": "k",
        "prompt_cache_retention": "24h",
    }
    assert proxy.ask("POST", PATH, body).status == 200
    assert json.loads(engine.requests[-1].body) == body
