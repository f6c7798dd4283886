"""Options of the export: wrong ones are said with what to write, secrets never show, the missing package is found."""

import os
import sys
from pathlib import Path

import pytest

from proxy.config.loader import Loaded, load_text
from proxy.config.secrets import SecretSource
from proxy.config.surroundings import looking_around

HEAD = "version: 1\nbackends: [{url: http://127.0.0.1:1}]\n"


def loaded(telemetry: str, **env: str) -> Loaded:
    source = SecretSource(env, Path())
    return load_text(f"{HEAD}telemetry: {telemetry}\n", "r.yaml", source, looking_around(Path(), elsewhere=False))


def messages(telemetry: str, **env: str) -> list[str]:
    return [f"{one.path} {one.message} {one.hint}" for one in loaded(telemetry, **env).diagnostics]


def test_off_by_default() -> None:
    config = loaded("{}").config
    assert config is not None
    assert config.telemetry.endpoint is None


def test_everything_at_once() -> None:
    text = (
        '{endpoint: "http://127.0.0.1:4318", sampling: 5%, semconv: both, service_name: edge, interval: 30s,'
        ' headers: {Authorization: "Bearer ${TOKEN}"}}'
    )
    found = loaded(text, TOKEN="s3cret")
    assert found.diagnostics == []
    assert found.config is not None
    telemetry = found.config.telemetry
    assert (telemetry.sampling, telemetry.interval, telemetry.semconv) == (0.05, 30.0, "both")
    ((name, value),) = telemetry.headers.items()
    assert value is not None
    assert (name, value.get_secret_value()) == ("authorization", "Bearer s3cret")
    assert "s3cret" not in repr(found.config)


@pytest.mark.parametrize(
    ("telemetry", "words"),
    [
        ("{endpoint: 127.0.0.1:4318}", "is not the URL of a collector"),
        ("{endpoint: 'grpc://a:4317'}", "is not the URL of a collector"),
        ("{endpoint: 'http://user:pass@a'}", "is not the URL of a collector"),
        ("{endpoint: 'http://a?key=1'}", "is not the URL of a collector"),
        ("{endpoint: 'http://a:4318/v1/traces'}", "write http://a:4318"),
        ("{endpoint: 'http://a', protocol: grpc}", "http/protobuf"),
        ("{endpoint: 'http://a', sampling: 101%}", "sampling"),
        ("{endpoint: 'http://a', interval: 0}", "must be above 0"),
        ("{endpoint: 'http://a', headers: {'a b': '${A}'}}", "is not the name of a header"),
        ("{endpoint: 'http://a', headers: {host: '${A}'}}", "is set by the exporter"),
        ("{endpoint: 'http://a', headers: {x: '${NONE}'}}", "NONE is not set"),
        ("{endpoint: 'http://a', headers: {x: '${EMPTY:-}'}}", "is empty"),
        ("{endpoint: 'http://a', headers: {x: '${ODD}'}}", "printable ASCII"),
        ("{endpoint: 'http://a', semconv: old}", "semconv"),
        ("{endpoint: 'http://a', compression: gzip}", "compression"),
    ],
)
def test_mistakes(telemetry: str, words: str) -> None:
    found = loaded(telemetry, A="a", ODD="a\nb: c")
    assert found.config is None
    assert words in "\n".join(f"{one.path} {one.message} {one.hint}" for one in found.diagnostics)


def test_a_secret_in_the_file_warns_and_is_not_shown() -> None:
    (only,) = messages("{endpoint: 'http://a', headers: {x: 's3cret in the file'}}")
    assert "a secret stands in the file itself" in only
    assert "s3cret" not in only


def test_options_without_an_endpoint_have_no_effect() -> None:
    (only,) = messages("{sampling: 5%}")
    assert "has no effect" in only


def test_what_is_not_installed_is_found_by_check(monkeypatch: pytest.MonkeyPatch) -> None:
    assert messages("{endpoint: 'http://a'}") == []
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    (only,) = messages("{endpoint: 'http://a'}", **os.environ)
    assert "pip install 'tidegate[otel]'" in only
