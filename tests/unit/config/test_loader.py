"""A file to a configuration, or to everything that is wrong with it: precise places, plain words."""

# ruff: noqa: E501 - one mistake per line reads as a table

import io
import json
from pathlib import Path

import pytest

from proxy.config.diagnostics import Severity, render
from proxy.config.loader import Loaded, load, load_text
from proxy.config.report import MAX_DIAGNOSTICS
from proxy.config.secrets import SecretSource

ONE = "version: 1\nbackends:\n  - url: http://gpu1:8001\n"


def loaded(text: str, **env: str) -> Loaded:
    return load_text(text, "r.yaml", SecretSource(env, Path()))


def lines(text: str, **env: str) -> list[str]:
    """The diagnostics in the first line of their text form, without the file."""
    found = loaded(text, **env).diagnostics
    return [render([d], "text").splitlines()[0].removeprefix("r.yaml:") for d in found]


def test_the_smallest_file() -> None:
    found = loaded(ONE)
    assert found.diagnostics == []
    assert found.config is not None
    assert found.config.backends[0].spec().name == "gpu1:8001"


def test_the_picture_of_an_error() -> None:
    text = ONE + "    poool: fast\n"
    assert render(loaded(text).diagnostics, "text") == (
        'r.yaml:4:5: backends[0].poool: unknown key; did you mean "pool"?\n        poool: fast\n        ^\n'
    )


SHAPE = "    kv_cache:\n      layers: 32\n      kv_heads: 8\n      head_dim: 128\n      memory: 24GiB\n"
CASES = [
    # the file as a whole
    ("", ["1:1: the file is empty; the smallest one holds version: 1, and backends with one url"]),
    ("- a\n", ["1:1: must be a group of options; start with version: 1"]),
    ("hello\n", ["1:1: must be a group of options; start with version: 1"]),
    ("version: 1\n", ["1:1: backends: is required and missing; write backends: and below it - url: http://127.0.0.1:8001"]),
    (ONE.replace("version: 1\n", ""), ["1:1: version: is required and missing; write version: 1"]),
    (ONE.replace("1\n", "2\n", 1), ["1:10: version: must be 1"]),
    (ONE.replace("1\n", '"1"\n', 1), ["1:10: version: must be 1; leave the quotes out"]),
    (ONE.replace("1\n", "true\n", 1), ["1:10: version: must be 1"]),
    (ONE.replace("1\n", "1.0\n", 1), ["1:10: version: must be 1"]),
    # keys
    (ONE + "logg: {}\n", ['4:1: logg: unknown key; did you mean "log"?']),
    (ONE + "LOG: {}\n", ['4:1: LOG: unknown key; did you mean "log"?']),
    (ONE + "log: {acess: true}\n", ['4:7: log.acess: unknown key; did you mean "access"?']),
    (ONE + "    max-concurrency: 3\n", ['4:5: backends[0].max-concurrency: unknown key; did you mean "max_concurrency"?']),
    (ONE + "limits: {eject_max: 3s}\n", ["4:10: limits.eject_max: unknown key; it belongs below health"]),
    (ONE + "routing: {listen: 'h:1'}\n", ["4:11: routing.listen: unknown key; it belongs at the top of the file"]),
    (ONE + "drain: {xyzzy: 1}\n", ["4:9: drain.xyzzy: unknown key; known here: readiness, streams"]),
    (ONE + "version: 1\n", ["4:1: version: duplicate key, first on line 1; remove one of the two"]),
    # values
    (ONE + "log:\n  level: warn\n", ['5:10: log.level: must be one of debug, info, warning, error; did you mean "warning"?']),
    (ONE + "log: {access: 1}\n", ["4:15: log.access: must be true or false"]),
    (ONE + "log: {access: 'true'}\n", ["4:15: log.access: must be true or false; leave the quotes out"]),
    (ONE + "retries: {attempts: 1.5}\n", ["4:21: retries.attempts: must be a whole number; from 1 to 10, such as 3"]),
    (ONE + "retries: {attempts: 0}\n", ["4:21: retries.attempts: must be at least 1"]),
    (ONE + "retries: {attempts: 11}\n", ["4:21: retries.attempts: must be at most 10"]),
    (ONE + "retries: {attempts: many}\n", ["4:21: retries.attempts: must be a whole number; from 1 to 10, such as 3"]),
    (ONE + "retries: {budget_ratio: 1.01}\n", ["4:25: retries.budget_ratio: must be at most 1"]),
    (ONE + "retries: {budget_ratio: x}\n", ["4:25: retries.budget_ratio: must be a number; from 0 to 1, such as 0.1"]),
    (ONE + "health: {failure_ratio: 0}\n", ["4:25: health.failure_ratio: must be above 0"]),
    (ONE + "hold: {max_wait: 30}\n", ["4:18: hold.max_wait: 30 has no unit; write 30s (or 30ms)"]),
    (ONE + "hold: {bytes: 8M}\n", ["4:15: hold.bytes: unknown unit 'M'; write 8MiB"]),
    (ONE + "routing:\n  default_model: 5\n", ["5:18: routing.default_model: must be text; put it in quotes"]),
    (ONE + "headers: {forward: x-a}\n", ["4:20: headers.forward: must be a list; write [x-a]"]),
    (ONE + "headers: {forward: [x-a, host]}\n", ["4:26: headers.forward[1]: host cannot be forwarded: the proxy writes it itself for every backend"]),
    (ONE + "drain:\n", ["4:7: drain: must be a group of options; write key: value lines below it, indented; or leave it out"]),
    (ONE + "drain: no\n", ["4:8: drain: unquoted no is true or false to some YAML tools and something else to others; must be a group of options"]),
    (ONE + "listen: 8080\n", ["4:9: listen: must be text; write 127.0.0.1:8080"]),
    (ONE + "listen: '8080'\n", ['4:9: listen: "8080" is not host:port; write 127.0.0.1:8080']),
    (ONE + "listen: '${PORT}'\n", ["4:9: listen: ${…} is expanded in secrets only, such as api_key; write the value itself"]),
    # backends
    ("version: 1\nbackends: []\n", ["2:1: backends: needs at least 1 entry"]),
    ("version: 1\nbackends: http://a\n", ["2:11: backends: must be a list; write [{url: http://a}]"]),
    ("version: 1\nbackends:\n  url: http://a\n", ["2:1: backends: must be a list; write [{url: http://a}]"]),
    ("version: 1\nbackends: [http://a]\n", ["2:12: backends[0]: must be a group of options; write url: http://a"]),
    ("version: 1\nbackends:\n  - name: a\n", ["3:5: backends[0].url: is required and missing; write url: http://127.0.0.1:8001"]),
    ("version: 1\nbackends:\n  - url: gpu1:8001\n", ['3:10: backends[0].url: has no scheme; did you mean "http://gpu1:8001"?']),
    ("version: 1\nbackends:\n  - url: htpp://gpu1\n", ['3:10: backends[0].url: unknown scheme "htpp"; known: http, https, unix; did you mean "http://gpu1"?']),
    (ONE + "    kind: vlllm\n", ['4:11: backends[0].kind: must be one of auto, vllm, sglang, tgi, llama_cpp, ollama, transformers, tensorrt_llm, anthropic, openai; did you mean "vllm"?']),
    (ONE + "    models: al\n", ["4:13: backends[0].models: must be one of auto, any; write [al]"]),
    (ONE + "    models: []\n", ["4:5: backends[0].models: needs at least 1 entry"]),
    (ONE + "    models: [a, 5]\n", ["4:17: backends[0].models[1]: must be text; put it in quotes"]),
    (ONE + "    aliases: [a]\n", ["4:5: backends[0].aliases: must be a group of keys and values; write key: value lines below it, indented; or leave it out"]),
    (ONE + "    aliases:\n      a: 08\n", ['5:10: backends[0].aliases.a: unquoted 08 is an octal number to some YAML tools and something else to others; write "08"']),
    (ONE + "    aliases: {' a': b}\n", ['4:15: backends[0].aliases[" a"]: " a" is not a model name; 1 to 256 printable characters, no space at either end']),
    (ONE + "    api_key: ${NOPE}\n", ["4:14: backends[0].api_key: the environment variable NOPE is not set; set it, or write ${NOPE:-} for no key"]),
    (ONE + "    api_key: 12345\n", ["4:14: backends[0].api_key: must be text; put it in quotes"]),
    (ONE + "    tls:\n      verify: true\n", ["4:5: backends[0].tls: has no meaning for an http:// backend; write https:// in url, or leave tls out"]),
    (ONE + "    resolve: any\n", ["4:14: backends[0].resolve: must be one of one, all, ipv4, ipv6"]),
    (ONE + "    resolve_every: 10ms\n", ["4:20: backends[0].resolve_every: is too often; 1s or more: name servers are asked by everybody"]),
    (ONE + "    ip: gpu1\n", ['4:9: backends[0].ip: "gpu1" is not an IP address; such as 10.0.0.7 or fd00::7, without a port']),
    (ONE + "    ip: 10.0.0.7\n    resolve: all\n", ["5:14: backends[0].resolve: nothing is looked up where ip is given; leave one of the two out"]),
    ("version: 1\nbackends:\n  - url: unix:/run/e.sock\n    resolve: all\n", ["4:14: backends[0].resolve: a Unix socket has no name and no address; leave resolve out"]),
    (ONE + "    connect: 0\n", ["4:14: backends[0].connect: must be above 0: nothing would get through"]),
    (ONE + "    name: a\n  - url: http://b\n    name: a\n", ['6:11: backends[1].name: "a" is the name of backends[0] too; give each its own']),
    (ONE + "    kv_cache: {layers: 0, kv_heads: 8}\n", ["4:5: backends[0].kv_cache.head_dim: is required and missing; add a line head_dim: and its value", "4:5: backends[0].kv_cache.memory: is required and missing; add a line memory: and its value", "4:24: backends[0].kv_cache.layers: must be at least 1"]),
    (ONE + SHAPE + "      dtype: fp61\n", ['9:14: backends[0].kv_cache.dtype: must be one of fp32, fp16, bf16, fp8, int8, int4, q8_0, q4_0; did you mean "fp16"?']),
    (ONE + SHAPE + "      weights: 30GiB\n", ["4:5: backends[0].kv_cache: the weights (30 GiB) leave nothing for KV of 24 GiB at utilization 1"]),
    (ONE + SHAPE + "    kv_tokens: 5\n", ["9:16: backends[0].kv_tokens: is 5, while kv_cache gives 196608; write one of the two"]),
    # between groups
    (ONE + "admin: 127.0.0.1:8080\n", ["4:8: admin: is the same address as listen; give the two listeners different ports"]),
    (ONE + "    models: [a]\nrouting: {default_model: b}\n", ['5:26: routing.default_model: no backend serves "b"; known: a']),
    (ONE + "listen: 127.0.0.1:9090\n", ["1:1: admin: is the same address as listen; give the two listeners different ports"]),
    (ONE + "routing: {models: [{name: m}, {name: m}]}\n", ['4:38: routing.models[1].name: "m" is the name of routing.models[0] too; give each its own']),
    (ONE + "routing: {models: [{name: ''}]}\n", ["4:27: routing.models[0].name: must not be empty"]),
    (ONE + "    pool: a\nclasses: [{name: chat, fallback: {pool: b}}]\n", ['5:41: classes[0].fallback.pool: no backend is in the pool "b"; known: a']),
    (ONE + "classes: [{name: chat, fallback: {modle: b}}]\n", ['4:35: classes[0].fallback.modle: unknown key; did you mean "model"?']),
    (ONE + "tenants: [{tenant: '*', requests_per_minute: -1}]\n", ["4:46: tenants[0].requests_per_minute: must be at least 1; write null (no limit)"]),
    (ONE + "tenants: [{tenant: '*', max_concurrent: 0, tokens_per_minute: 1.5}]\n", ["4:41: tenants[0].max_concurrent: must be at least 1; write null (no limit)", "4:63: tenants[0].tokens_per_minute: must be a whole number"]),
    (ONE + "tenants: [{tenant: sk-secret}]\n", ["4:20: tenants[0].tenant: must be a name of up to 64 of A-Z a-z 0-9 . _ @ + -, which is no API key; such as team-a; * stands for all others"]),
    (ONE + "cors: {origins: ['https://a.b/']}\n", ['4:18: cors.origins[0]: "https://a.b/" is not an origin; write https://a.b']),
    (ONE + "limits: {head: {total: 1KiB}}\n", ["4:10: limits.head.field: must not be above limits.head.total (1KiB)"]),
    # YAML
    ("version: 1\n\tbackends: 1\n", ["2:1: a tab is used for indentation; YAML indents with spaces only"]),
    (ONE + "---\nversion: 1\n", ["4:1: a second document starts here; one file holds one configuration: remove the ---"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_each_mistake_has_its_place_and_its_words(text: str, expected: list[str]) -> None:
    assert lines(text) == expected
    assert loaded(text).config is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ONE + "  - url: http://GPU1:8001/v1\n", "4:10: warning: backends[1].url: is the URL of backends[0] too"),
        (
            ONE + "    api_key: plain-text-key\n",
            "4:14: warning: backends[0].api_key: a secret stands in the file itself",
        ),
        (ONE + "health: {probe_interval: 1s}\n", "4:26: warning: health.probe_interval: llama.cpp frees"),
        (ONE + "    models: [a]\n    aliases: {x: b}\n", '5:18: warning: backends[0].aliases.x: "b" is not among'),
    ],
)
def test_a_warning_does_not_keep_from_starting(text: str, expected: str) -> None:
    found = lines(text)
    assert len(found) == 1
    assert found[0].startswith(expected)
    assert loaded(text).config is not None


def test_all_errors_at_once_in_the_order_of_the_file() -> None:
    text = (
        "version: 2\n"
        "listen: nowhere\n"
        "backends:\n"
        "  - url: http://a\n"
        "    name: x\n"
        "    weight: 3\n"
        "  - url: http://b\n"
        "    name: x\n"
        "  - url: http://c\n"
        "    name: x\n"
        "    models: [a, no]\n"
        "limits: {connections: {buffer_high: 1KiB}, body: {size: 0}}\n"
        "hold: {max_wait: soon}\n"
    )
    assert [line.split(": ")[:2] for line in lines(text)] == [
        ["1:10", "version"],
        ["2:9", "listen"],
        ["6:5", "backends[0].weight"],
        ["8:11", "backends[1].name"],
        ["10:11", "backends[2].name"],
        ["11:17", "backends[2].models[1]"],
        ["12:10", "limits.connections.buffer_low"],
        ["12:57", "limits.body.size"],
        ["13:18", "hold.max_wait"],
    ]


def test_rules_across_backends_are_checked_although_something_else_is_wrong() -> None:
    text = ONE + "    name: x\n  - url: http://b\n    name: x\n  - {}\nlog: {level: loud}\n"
    assert [line.split(" ")[0] for line in lines(text)] == ["6:11:", "7:5:", "8:14:"]


def test_a_flood_of_errors_is_bounded() -> None:
    text = ONE + "".join(f"x{i}: 1\n" for i in range(500))
    assert len(loaded(text).diagnostics) == MAX_DIAGNOSTICS


def test_columns_count_characters_and_a_byte_order_mark_counts_nothing(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + f"{ONE}log: {{level: 'ü😀', format: x}}\r\n".encode())
    places = [(d.line, d.column) for d in load(path, {}).diagnostics]
    assert places == [(4, 14), (4, 28)]


def test_values_arrive() -> None:
    text = ONE + (
        "    kind: vllm\n    models: [org/m, '08']\n    aliases: {gpt-4o: org/m}\n    api_key: ${KEY}\n"
        "    max_concurrency: 8\n    first_byte: 10m\n    idle: null\n"
        "limits: {body: {size: 1MiB, stall: 0.5s}}\nhold: {per_in_flight: 1}\nheaders: {forward: [x-sim-*]}\n"
    )
    config = loaded(text, KEY="open-sesame").config
    assert config is not None
    backend = config.backends[0]
    assert backend.models == ("org/m", "08")
    assert backend.api_key is not None
    assert backend.api_key.get_secret_value() == "open-sesame"
    assert (backend.max_concurrency, backend.first_byte, backend.idle) == (8, 600.0, None)
    assert (config.limits.body.size, config.limits.body.stall) == (1 << 20, 0.5)
    assert config.hold.per_in_flight == 1.0
    assert config.headers.forward == ("x-sim-*",)


def test_an_anchor_may_be_used_a_few_times() -> None:
    text = "version: 1\nbackends:\n  - url: http://a\n    models: &m [x, y]\n  - url: http://b\n    models: *m\n"
    config = loaded(text).config
    assert config is not None
    assert config.backends[1].models == ("x", "y")


@pytest.mark.parametrize("name", ["nowhere.yaml", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_a_diagnostic(tmp_path: Path, name: str) -> None:
    found = load(tmp_path / name, {})
    assert found.config is None
    assert [(d.severity, d.line, d.column) for d in found.diagnostics] == [(Severity.ERROR, 1, 1)]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"version: 2\n")))
    assert {d.file for d in load("-", {}).diagnostics} == {"<stdin>"}


def test_a_secret_file_is_relative_to_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sesame\n")
    path = tmp_path / "r.yaml"
    path.write_text(ONE + "    api_key: ${file:key}\n")
    config = load(path, {}).config
    assert config is not None
    assert config.backends[0].api_key is not None
    assert config.backends[0].api_key.get_secret_value() == "sesame"


def test_a_dump_of_the_configuration_masks_keys() -> None:
    config = loaded(ONE + "    api_key: ${KEY}\n", KEY="open-sesame").config
    assert config is not None
    assert "sesame" not in repr(config) + str(config.model_dump()) + config.model_dump_json()
    assert json.loads(config.model_dump_json())["backends"][0]["api_key"] == "**********"
