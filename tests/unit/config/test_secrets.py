"""References to secrets: what they expand to, and that nothing of them shows."""

from pathlib import Path

import pytest

from proxy.config.backend import BackendOptions
from proxy.config.secrets import SecretSource, is_literal

URL = "http://127.0.0.1:8001"


def source(tmp_path: Path, **env: str) -> SecretSource:
    return SecretSource(env, tmp_path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "alpha"),
        ("${A:-b}", "alpha"),
        ("${NOPE:-b}", "b"),
        ("${EMPTY:-b}", "b"),
        ("${NOPE:-}", ""),
        ("x-${A}-${A}", "x-alpha-alpha"),
        ("literal", "literal"),
        ("$A", "$A"),
    ],
)
def test_expanded(tmp_path: Path, text: str, value: str) -> None:
    assert source(tmp_path, A="alpha", EMPTY="").expand(text) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("${NOPE}", "variable NOPE is not set"),
        ("${EMPTY}", "variable EMPTY is empty"),
        ("${a b}", "not a reference"),
        ("${}", "not a reference"),
        ("${A", "not closed"),
        ("${A}${", "not closed"),
        ("${file:nowhere}", "no such file"),
        ("${file:.}", "is a directory"),
        ("${file:a\0b}", "not a usable path"),
    ],
)
def test_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        source(tmp_path, A="alpha", EMPTY="").expand(text)


def test_an_expanded_value_is_not_expanded_again(tmp_path: Path) -> None:
    assert source(tmp_path, A="$(B)", B="beta").expand("${A}") == "$(B)"


def test_a_file_is_relative_to_the_configuration_and_trimmed(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sesame\n")
    assert source(tmp_path).expand("${file:key}") == "sesame"
    assert source(tmp_path).expand(f"${{file:{tmp_path / 'key'}}}") == "sesame"


@pytest.mark.parametrize(("size", "fits"), [(16383, True), (16384, True), (16385, False)])
def test_a_secret_file_has_a_bound(tmp_path: Path, size: int, fits: bool) -> None:
    (tmp_path / "key").write_bytes(b"k" * size)
    if fits:
        assert len(source(tmp_path).expand("${file:key}")) == size
    else:
        with pytest.raises(ValueError, match="larger than 16 KiB"):
            source(tmp_path).expand("${file:key}")


def test_an_empty_secret_file_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("\n")
    with pytest.raises(ValueError, match="is empty"):
        source(tmp_path).expand("${file:key}")


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("${A}", False),
        ("${file:x}", False),
        ("${A:-}", False),
        ("", False),
        ("${A:-x}", True),
        ("k", True),
        ("x${A}", True),
    ],
)
def test_what_stands_in_the_file(text: str, literal: bool) -> None:
    assert is_literal(text) is literal


def test_a_key_of_the_schema_is_masked_everywhere(tmp_path: Path) -> None:
    backend = BackendOptions.model_validate({"url": URL, "api_key": "${A}"}, context=source(tmp_path, A="alpha-secret"))
    assert backend.api_key is not None
    assert backend.api_key.get_secret_value() == "alpha-secret"
    for shown in (repr(backend), str(backend), str(backend.model_dump()), backend.model_dump_json()):
        assert "alpha" not in shown
    assert "alpha" not in repr(source(tmp_path, A="alpha-secret"))


def test_a_key_that_expands_to_nothing_is_no_key(tmp_path: Path) -> None:
    backend = BackendOptions.model_validate({"url": URL, "api_key": "${NOPE:-}"}, context=source(tmp_path))
    assert backend.api_key is None


@pytest.mark.parametrize("value", ["two words", "Bearer hunter22", "line\nhunter22", "hünter22", "hunter22\t"])
def test_a_key_must_fit_into_a_header_and_is_not_echoed(tmp_path: Path, value: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII") as caught:
        BackendOptions.model_validate({"url": URL, "api_key": "${A}"}, context=source(tmp_path, A=value))
    assert "nter22" not in str(caught.value)


def test_without_a_file_no_reference_is_expanded() -> None:
    with pytest.raises(ValueError, match="only when a file is loaded"):
        BackendOptions.model_validate({"url": URL, "api_key": "${A}"})
    assert BackendOptions.model_validate({"url": URL, "api_key": "plain"}).api_key is not None
