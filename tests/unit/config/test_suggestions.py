"""Whatever a hint says to write is right where it is written: tried for every option and many wrong values."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.diagnostics import Diagnostic
from proxy.config.loader import load_text
from proxy.config.options import Option, all_options, shown
from proxy.config.schema import Config
from proxy.config.secrets import SecretSource
from proxy.config.suggestions import as_yaml, suggestion

WRONG = [
    *("on", "off", "yes", "no", "true", "false", "'true'", "none", "unlimited", "null", "~", "-1", "0", "1", "5", "30"),
    *(
        "1.5",
        "95",
        "600",
        "1048576",
        "'5'",
        "08",
        "1_000",
        "22:22",
        "1.0",
        "10k",
        "'8,192'",
        "5%",
        "'5 %'",
        "50 percent",
    ),
    *("30 s", "1min", "1m30s", "5 minutes", "8M", "8 mb", "64k", "1g", "5S", "8mib", "3w"),
    *("8080", ":8080", "'*:8080'", "localhost", "0.0.0.0", "'::1'", "http://127.0.0.1:8080", "127.0.0.1 8080"),
    *(
        "qwen3-8b",
        "a, b",
        "'*'",
        "all",
        "[a]",
        "[]",
        "[[a]]",
        "{a: b}",
        "Debug",
        "smoth",
        "round-robin",
        "chat",
        "sk-x",
    ),
    *(
        "gpu1:8001",
        "htpp://a",
        "http:/a",
        "http://a/v1/chat/completions",
        "https://a.b/",
        "app.example.com",
        "“a”",
        "a;",
    ),
    *("X-Team", "[X-Team]", "vlm", "llama", "ABCDEF01", "''", "' a'", "two words"),
]
REQUIRED: dict[tuple[str, ...], dict[str, str]] = {
    ("backends", "[]"): {"url": "https://gpu1:8001"},
    ("backends", "[]", "kv_cache"): {"layers": "32", "kv_heads": "8", "head_dim": "128", "memory": "24GiB"},
    ("classes", "[]"): {"name": "chat"},
    ("tenants", "[]"): {"tenant": "team-a"},
    ("tenants", "[]", "keys", "[]"): {"digest": "1" * 64},
    ("routing", "models", "[]"): {"name": "m"},
    (): {"version": "1", "backends": "[{url: 'http://a'}]"},
}
"""What must stand beside an option, so that only it is wrong."""
PROSE = ("write key:", "write one entry", "write host:port", "write it like", "write ${", "write the", "write an")
"""Hints that say how to write in words."""
OPTIONS = [option for option in all_options(Config) if option.path[-1] != "api_key"]


def written(option: Option, value: str) -> str:
    """The smallest file with `value` at one option, in flow style."""
    text = value
    for depth in range(len(option.path) - 1, -1, -1):
        key, group = option.path[depth], option.path[:depth]
        if key == "[]":
            text = f"[{text}]"
            continue
        beside = {k: v for k, v in REQUIRED.get(group, {}).items() if k != key}
        text = "{" + ", ".join([*(f"{k}: {v}" for k, v in beside.items()), f"{key}: {text}"]) + "}"
    return text + "\n"


def diagnostics(text: str) -> list[Diagnostic]:
    return load_text(text, "f", SecretSource({}, Path("/nowhere"))).diagnostics


def proposals(hint: str) -> list[str]:
    """The texts that a hint says to write."""
    if match := re.fullmatch('did you mean "(.*)"\\?', hint):
        return [f'"{match[1]}"']
    match = re.fullmatch(r"write (.+?)(?: \(or (.+)\)| \([^()]*\))?", hint)
    prose = hint.startswith(PROSE)
    return [] if match is None or prose else [text for text in match.groups() if text]


def errors(found: list[Diagnostic]) -> list[str]:
    return [d.path for d in found if d.severity == "error"]


def place_of(option: Option) -> str:
    return shown(tuple(0 if part == "[]" else part for part in option.path))


@pytest.mark.parametrize("option", OPTIONS, ids=place_of)
def test_what_a_hint_says_to_write_is_right_there(option: Option) -> None:
    for wrong in WRONG[OPTIONS.index(option) % 3 :: 3]:  # options of one kind try all of them together
        for told in diagnostics(written(option, wrong)):
            if told.path != place_of(option):
                continue
            for text in proposals(told.hint):
                again = diagnostics(written(option, text))
                assert told.path not in errors(again), (wrong, told.hint, again)


@given(st.sampled_from(OPTIONS), st.text("abcdef0123456789:/.,-_ *%@#sSmMkKbB[]{}", max_size=20).map(repr))
def test_any_text(option: Option, wrong: str) -> None:
    for told in diagnostics(written(option, wrong)):
        if told.path == place_of(option):
            for text in proposals(told.hint):
                again = diagnostics(written(option, text))
                assert told.path not in errors(again), (wrong, told.hint)


@pytest.mark.parametrize(
    ("path", "wrong", "hint"),
    [
        ("classes.[].stream.pace", "on", "write smooth"),
        ("classes.[].stream.pace", "true", "write smooth"),
        ("classes.[].stream.pace", "no", "write off"),
        ("classes.[].stream.resume", "yes", "write true"),
        ("classes.[].hedge.after", "on", "write p95"),
        ("classes.[].hedge.budget", "5", "write 5%"),
        ("classes.[].fallback", "qwen3-8b", "write {model: qwen3-8b}"),
        ("backends.[].models", "qwen3-8b", "write [qwen3-8b]"),
        ("backends.[].models", "'a, b'", "write [a, b]"),
        ("backends.[].models", "'*'", "write any"),
        ("backends.[].labels", "fp8", "write [fp8]"),
        ("backends.[].max_concurrency", "unlimited", "write null (as many as come)"),
        ("backends.[].url", "http:/a:8001", "write http://a:8001"),
        ("backends.[].url", "8001", "write http://127.0.0.1:8001"),
        ("backends", "gpu1:8001", "write [{url: http://gpu1:8001}]"),
        ("backends", "{url: 'http://a', name: x}", "write [{url: http://a, name: x}]"),
        ("backends", "{gpu1: {url: 'http://a'}}", "write [{name: gpu1, url: http://a}]"),
        ("backends", "{url: 'http://a', api_key: hunter2}", "write one entry per line, each after '- '"),
        ("classes", "{chat: {slo: chatbot}}", "write [{name: chat, slo: chatbot}]"),
        ("listen", "8080", "write 127.0.0.1:8080"),
        ("listen", "127.0.0.1;8080", "write 127.0.0.1:8080"),
        ("listen", "'9000:8080'", "write 127.0.0.1:8080"),
        ("listen", "localhost", "write localhost:8080"),
        ("listen", "':8080'", "write 127.0.0.1:8080"),
        ("listen", "'::1:8080'", 'write "[::1]:8080"'),
        ("admin", "9091", "write 127.0.0.1:9091"),
        ("admin", "localhost", "write localhost:9090"),
        ("limits.upstream.first_byte", "600", "write 600s (or 600ms)"),
        ("limits.upstream.idle", "1m30s", "write 90s"),
        ("limits.body.size", "32", "write 32MiB (or 32B)"),
        ("limits.body.size", "8388608", "write 8MiB"),
        ("limits.body.size", "8M", "write 8MiB"),
        ("limits.body.stall", "1min", "write 1m"),
        ("routing.admission.kv", "95", "write 0.95"),
        ("routing.bulk_tokens", "off", "write null (none is)"),
        ("routing.default_model", "no", 'write "no"'),
        ("cors.origins", "app.example.com", "write [https://app.example.com]"),
        ("log", "json", "write {format: json}"),
        ("headers.forward", "[X-Team]", ""),
    ],
)
def test_what_is_suggested(path: str, wrong: str, hint: str) -> None:
    option = next(option for option in OPTIONS if ".".join(option.path) == path)
    found = [d.hint for d in diagnostics(written(option, wrong)) if d.path == place_of(option)]
    assert found == ([hint] if hint else [])


@pytest.mark.parametrize("value", ["a", "a: b", "no", "08", "", "[a", "5", "true", "a#b", "é", 'q"'])
def test_a_text_is_written_so_that_it_is_read_as_it_was(value: str) -> None:
    import yaml

    assert yaml.safe_load(as_yaml({"x": [value]})) == {"x": [value]}


def test_nothing_fits() -> None:
    assert suggestion("x", lambda _: False) == ""
    assert suggestion(None, lambda _: True) == ""
    assert suggestion("x" * 200, lambda _: True) == ""
