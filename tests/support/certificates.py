"""Certificates of all the kinds that engines show, made by the openssl command.

Owns files in one folder. A test that needs one is skipped where there is no openssl.
"""

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_EXTENSIONS = "basicConstraints=critical,CA:{ca}\nsubjectAltName={names}\n"


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, as PEM files."""

    path: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """What an engine is served with that shows it."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.path, self.key)
        return context


class Authority:
    """Issues certificates; its own is the one to trust."""

    def __init__(self, folder: Path, name: str = "Test Authority") -> None:
        self._folder = folder
        self._config = folder / "ca.cnf"
        (folder / "issued").mkdir()
        (folder / "index").touch()
        (folder / "serial").write_text("01\n")
        self._config.write_text(
            f"[ca]\ndefault_ca=own\n[own]\ndatabase={folder}/index\nserial={folder}/serial\nnew_certs_dir={folder}/issued\n"
            "default_md=sha256\npolicy=any\nunique_subject=no\n[any]\ncommonName=supplied\n"
        )
        self.own = self_signed(folder, "authority", name, "DNS:authority.test", ca=True)

    def certificate(
        self, name: str, names: str, begins: str = "20240101000000Z", ends: str = "20690101000000Z"
    ) -> Certificate:
        """One for `names` (openssl's words), valid between two days."""
        folder = self._folder
        made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
        request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
        extensions.write_text(_EXTENSIONS.format(ca="FALSE", names=names))
        _openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", made.key, "-out", request, "-subj", f"/CN={name}")
        _openssl(
            *("ca", "-batch", "-notext", "-config", self._config, "-cert", self.own.path, "-keyfile", self.own.key),
            *("-in", request, "-out", made.path, "-extfile", extensions, "-startdate", begins, "-enddate", ends),
        )
        return made


def self_signed(folder: Path, file: str, name: str, names: str, *, ca: bool = False) -> Certificate:
    """A certificate that vouches for itself."""
    made = Certificate(folder / f"{file}.pem", folder / f"{file}.key")
    _openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", made.key, "-out", made.path),
        *("-subj", f"/CN={name}", "-addext", f"subjectAltName={names}"),
        *("-addext", f"basicConstraints=critical,CA:{str(ca).upper()}"),
    )
    return made


def _openssl(*arguments: str | Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here")
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
