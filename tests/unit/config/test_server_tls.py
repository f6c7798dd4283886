"""Certificates towards clients: what is wrong with one is said with the option that is to blame."""

import subprocess
from pathlib import Path

import pytest

from proxy.config.diagnostics import Severity
from proxy.config.loader import load
from proxy.config.server_tls import ServerTlsSettings, certificate_ends, server_context
from tests.support.certificates import Authority, Certificate, self_signed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def good(folder: Path) -> Certificate:
    return self_signed(folder, "good", "localhost", "DNS:localhost")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder)


def found(folder: Path, cert: object, key: object = None, more: str = "") -> list[tuple[Severity, str, str]]:
    """What `check` says of a file with these."""
    file = folder / "r.yaml"
    named = f", key: '{key}'" if key else ""
    tls = f"tls: {{cert: '{cert}'{named}{more}}}\n"
    file.write_text(f"version: 1\nbackends: [{{url: 'http://127.0.0.1:1'}}]\n{tls}")
    return [(one.severity, one.path, one.message) for one in load(file, {}).diagnostics]


def test_a_good_pair_and_one_in_one_file(folder: Path, good: Certificate) -> None:
    assert found(folder, good.path, good.key) == []
    both = folder / "both.pem"
    both.write_bytes(good.path.read_bytes() + good.key.read_bytes())
    assert found(folder, both) == []
    assert found(folder, "good.pem", "good.key") == [], "beside the configuration"


def test_none_at_all() -> None:
    assert server_context(ServerTlsSettings()) is None


def test_a_key_of_another_certificate(folder: Path, good: Certificate) -> None:
    other = self_signed(folder, "other", "localhost", "DNS:localhost")
    ((severity, path, message),) = found(folder, good.path, other.key)
    assert (severity, path) == (Severity.ERROR, "tls.key")
    assert message == "the private key does not belong to the certificate"


@pytest.mark.parametrize("form", ["rsa", "pkcs8"])
def test_an_encrypted_key(folder: Path, good: Certificate, form: str) -> None:
    locked = folder / f"locked-{form}.key"
    command = ["rsa", "-aes256", "-traditional"] if form == "rsa" else ["pkcs8", "-topk8"]
    words = ["openssl", *command, "-in", str(good.key), "-out", str(locked), "-passout", "pass:secret"]
    subprocess.run(words, check=True, capture_output=True)
    ((severity, path, message),) = found(folder, good.path, locked)
    assert (severity, path) == (Severity.ERROR, "tls.key")
    assert message.startswith("the private key is encrypted")


def test_when_it_ends(folder: Path, authority: Authority) -> None:
    until_2040 = authority.certificate("until-2040", "DNS:localhost", ends="20400101000000Z")
    assert certificate_ends(ServerTlsSettings(cert=str(until_2040.path))) == 2_208_988_800
    assert certificate_ends(ServerTlsSettings(cert=str(folder / "nowhere.pem"))) is None
    assert certificate_ends(ServerTlsSettings()) is None


def test_days_on_which_it_is_not_valid(folder: Path, authority: Authority) -> None:
    past = authority.certificate("past", "DNS:localhost", "20200101000000Z", "20210101000000Z")
    ((severity, path, message),) = found(folder, past.path, past.key)
    assert (severity, path) == (Severity.WARNING, "tls.cert")
    assert message == "the certificate has expired (Jan  1 00:00:00 2021 GMT)"
    future = authority.certificate("future", "DNS:localhost", "20600101000000Z", "20610101000000Z")
    ((severity, _, message),) = found(folder, future.path, future.key)
    assert (severity, message) == (Severity.WARNING, "the certificate is not valid before Jan  1 00:00:00 2060 GMT")


@pytest.mark.parametrize(
    ("content", "option", "message"),
    [
        (b"", "cert", "the file is empty"),
        (b"hello", "cert", "the file holds no PEM certificate"),
        (
            b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n",
            "cert",
            "the certificate or its key is damaged",
        ),
        (None, "cert", "there is no such file"),
    ],
)
def test_files_that_are_none(folder: Path, good: Certificate, content: bytes | None, option: str, message: str) -> None:
    file = folder / "odd.pem"
    file.unlink(missing_ok=True)
    if content is not None:
        file.write_bytes(content)
    ((severity, path, said),) = found(folder, file, good.key)
    assert (severity, path, said) == (Severity.ERROR, f"tls.{option}", message)


def test_files_that_are_taken_for_each_other(folder: Path, good: Certificate) -> None:
    assert found(folder, good.key, good.key)[0][2] == "the file holds a private key and no certificate"
    assert found(folder, good.path, good.path)[0][1:] == ("tls.key", "the file holds no private key")
    assert found(folder, good.path)[0][1:] == ("tls.cert", "the file holds no private key")
    assert found(folder, folder)[0][2] == "is a directory"


def test_a_key_without_a_certificate_has_no_effect(folder: Path, good: Certificate) -> None:
    file = folder / "r2.yaml"
    file.write_text(f"version: 1\nbackends: [{{url: 'http://127.0.0.1:1'}}]\ntls: {{key: '{good.key}'}}\n")
    ((one),) = load(file, {}).diagnostics
    assert (one.severity, one.path) == (Severity.WARNING, "tls.key")


def test_on_another_machine_missing_files_are_noted(folder: Path) -> None:
    file = folder / "r3.yaml"
    file.write_text("version: 1\nbackends: [{url: 'http://127.0.0.1:1'}]\ntls: {cert: /nowhere/c.pem}\n")
    assert [one.severity for one in load(file, {}, elsewhere=True).diagnostics] == [Severity.NOTE]
