"""Files that options name: what they must be, and what is said of those that are not."""

import os
import ssl
import subprocess
from pathlib import Path

import pytest

from proxy.config.diagnostics import Severity
from proxy.config.loader import load

ONE = "version: 1\nbackends:\n  - url: https://gpu1:8001\n"


def told(tmp_path: Path, rest: str, *, elsewhere: bool = False) -> list[str]:
    path = tmp_path / "r.yaml"
    path.write_text(ONE + rest)
    found = load(path, {}, elsewhere=elsewhere)
    assert (found.config is None) == any(d.severity is Severity.ERROR for d in found.diagnostics)
    return [f"{d.severity} {d.line}:{d.column} {d.path}: {d.message}; {d.hint}" for d in found.diagnostics]


def certificate(tmp_path: Path, days: str = "30") -> Path:
    """A certificate of its own, as openssl makes it."""
    key, path = tmp_path / "key.pem", tmp_path / "ca.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subprocess.run(
        [*made, "-keyout", key, "-out", path, "-days", days, "-subj", "/CN=test"], check=True, capture_output=True
    )
    return path


def test_a_right_ca_file(tmp_path: Path) -> None:
    assert told(tmp_path, f"    tls: {{ca_file: {certificate(tmp_path)}}}\n") == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no such file; it is looked for in the working directory"),
        (b"", "the file is empty"),
        (b"hello", "holds no PEM certificate"),
        (b"-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n", "a private key and no certificate"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\n", "a request for a certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "damaged"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA", "damaged"),
        (b"\x30\x82\x01\x02", "not PEM but DER"),
    ],
)
def test_a_wrong_ca_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, words: str) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    (only,) = told(tmp_path, "    tls:\n      ca_file: ca.pem\n")
    assert only.startswith("error 5:16 backends[0].tls.ca_file: ")
    assert words in only


def test_a_folder_is_no_ca_file(tmp_path: Path) -> None:
    (only,) = told(tmp_path, f"    tls: {{ca_file: {tmp_path}}}\n")
    assert "is a directory; name the file in it" in only


def test_an_expired_certificate_warns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = certificate(tmp_path, "1")
    monkeypatch.setattr("time.time", lambda: ssl.cert_time_to_seconds("Jan  1 00:00:00 2100 GMT"))
    (only,) = told(tmp_path, f"    tls: {{ca_file: {path}}}\n")
    assert only.startswith("warning 4:20")
    assert "has expired" in only


def test_a_path_that_is_right_elsewhere_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate(tmp_path)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("ca.pem", "~/ca.pem"):
        (only,) = told(tmp_path, f"    tls: {{ca_file: {name}}}\n")
        assert f"; write {tmp_path / 'ca.pem'}" in only
        assert told(tmp_path, f"    tls: {{ca_file: {only.rpartition('write ')[2]}}}\n") == []


TOKENIZER = '{"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (TOKENIZER, None),
        (None, "there is no such file"),
        ("", "the file is empty"),
        ("version https://git-lfs.github.com/spec/v1\noid x\n", "pointer of Git LFS"),
        (TOKENIZER[:-20], "damaged"),
        ('{"model_max_length": 4096}', "it has no model"),
        ("[]", "it has no model"),
        ("\n\x0esentencepiece", "not JSON"),
    ],
)
def test_tokenizers(tmp_path: Path, content: str | None, words: str | None) -> None:
    path = tmp_path / "t.json"
    if content is not None:
        path.write_text(content)
    found = told(tmp_path, f"tokenizers:\n  m: {path}\n")
    assert len(found) == (words is not None)
    if words is not None:
        assert found[0].startswith("error 5:6 tokenizers.m: ")
        assert words in found[0]


def test_a_vocabulary_that_openai_did_not_publish(tmp_path: Path) -> None:
    path = tmp_path / "o200k_base.tiktoken"
    path.write_text("aGVsbG8= 0\n")
    (only,) = told(tmp_path, f"tokenizers: {{m: {path}}}\n")
    assert "is no vocabulary as OpenAI publishes them; known are cl100k_base, o200k_base" in only


def test_the_folder_of_a_tokenizer_leads_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(TOKENIZER)
    (only,) = told(tmp_path, f"tokenizers: {{m: {tmp_path}}}\n")
    assert only.endswith(f"is a directory; write {tmp_path / 'tokenizer.json'}")


def test_on_another_machine_what_is_missing_is_noted_and_what_is_wrong_is_wrong(tmp_path: Path) -> None:
    rest = "    tls: {ca_file: /nowhere/ca.pem}\n    api_key: ${file:nowhere}${NOPE}\ntokenizers: {m: nowhere}\n"
    noted = told(tmp_path, rest, elsewhere=True)
    assert [line.partition(" ")[0] for line in noted] == ["note", "note", "note"]
    assert "${file:nowhere}, ${NOPE}" in noted[1]
    assert [line.partition(" ")[0] for line in told(tmp_path, rest)] == ["error", "error", "error"]
    (tmp_path / "empty").touch()
    rest = f"    api_key: ${{a b}}\n    tls: {{ca_file: {tmp_path / 'empty'}}}\n"
    assert [line.partition(" ")[0] for line in told(tmp_path, rest, elsewhere=True)] == ["error", "error"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("state.json", None),
        ("ours.json", None),
        ("cut.json", None),
        ("empty.json", None),
        ("folder", "is a directory; write"),
        ("missing/state.json", "there is no directory"),
        ("r.yaml", "is not a state file of Tidegate, and is left alone"),
        ("r.yaml/state.json", "there is no directory"),
        ("pipe", "is not a file"),
        ("x" * 300, None),
    ],
)
def test_where_what_is_learned_is_kept(tmp_path: Path, name: str, words: str | None) -> None:
    """A warning at most: the proxy starts without it."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.json").write_text("")
    (tmp_path / "ours.json").write_text('{"tidegate_state":1}')
    (tmp_path / "cut.json").write_text('{"tidegate_state":1,')
    os.mkfifo(tmp_path / "pipe")
    found = told(tmp_path, f"state: {tmp_path / name}\n")
    if words is None and len(name) < 256:
        assert found == []
    else:
        (only,) = found
        assert only.startswith("warning 4:8 state: ")
        assert (words or "too long") in only
    assert told(tmp_path, f"state: {tmp_path / name}\n", elsewhere=True) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        ["cut.json", "empty.json", "folder", "ours.json", "pipe", "r.yaml"]
    ), "looking changes nothing"


def test_nothing_is_kept_unless_asked_for(tmp_path: Path) -> None:
    assert told(tmp_path, "state: off\n") == []


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("new.csv", None),
        (".", "is a directory"),
        ("missing/new.csv", "there is no directory"),
        ("r.yaml", None),
        ("r.yaml/new.csv", "there is no directory"),
    ],
)
@pytest.mark.parametrize("option", ["file", "csv"])
def test_log_files_that_cannot_be_written_warn(tmp_path: Path, option: str, name: str, why: str | None) -> None:
    text = f"log: {{{option}: {tmp_path / name}/.}}\n" if name == "." else f"log: {{{option}: {tmp_path / name}}}\n"
    found = told(tmp_path, text)
    assert [why is not None and why in one for one in found] == ([] if why is None else [True])
    assert told(tmp_path, text, elsewhere=True) == []
