"""A real nginx for one test, in front of one address: with the configuration of its one location."""

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.certificates import Certificate
from tests.support.patience import eventually

PROGRAM = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
needs_nginx = pytest.mark.skipif(PROGRAM is None, reason="NO nginx HERE: apt-get install nginx-light")

RIGHT = """
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_buffering off;
    proxy_request_buffering off;
    proxy_read_timeout 600s;
    proxy_next_upstream off;
    gzip off;
"""
"""As `deploy/README.md` has it."""
_FILE = """
worker_processes 1;
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream tidegate {{ server {upstream}; keepalive 8; }}
    server {{
        listen 127.0.0.1:{port}{tls};
        client_max_body_size {largest};
        {server}
        location / {{
            proxy_pass {scheme}://tidegate{path};
            {location}
        }}
    }}
}}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def nginx(
    upstream: str,
    location: str = RIGHT,
    *,
    path: str = "",
    server: str = "",
    largest: str = "32m",
    scheme: str = "http",
    certificate: Certificate | None = None,
) -> Iterator[str]:
    """Its URL. `location`, `server`: directives; `path`: behind the upstream in proxy_pass; `scheme`: to the upstream;
    `certificate`: its own, None: it speaks no TLS."""
    assert PROGRAM is not None
    if certificate is not None:
        server += f"ssl_certificate {certificate.path}; ssl_certificate_key {certificate.key};"
    with tempfile.TemporaryDirectory(prefix="tidegate-nginx-") as folder:
        port, file = free_port(), Path(folder, "nginx.conf")
        Path(folder).chmod(0o755)
        file.write_text(
            _FILE.format(
                folder=folder,
                upstream=upstream,
                port=port,
                path=path,
                server=server,
                location=location,
                largest=largest,
                scheme=scheme,
                tls="" if certificate is None else " ssl",
            )
        )
        process = subprocess.Popen([PROGRAM, "-c", str(file), "-e", f"{folder}/error.log"], stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: _answers(port), "nginx", 10.0)
            yield f"http{'' if certificate is None else 's'}://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True
