"""What a configuration expects of the machine it runs on: files that it names, addresses that are not its own, a time.

Owns how a machine tells which addresses it has; sends nothing and resolves no name.
"""

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from proxy.config.auth import expiry_findings
from proxy.config.backend import BackendOptions
from proxy.config.files import file_findings, log_findings, slo_file_findings, state_findings
from proxy.config.finding import Finding
from proxy.config.listeners import loop_findings, nobody_knows
from proxy.config.prompt_files import prompt_findings
from proxy.config.server_tls import ServerTlsSettings, server_tls_findings
from proxy.config.telemetry import telemetry_package_findings

Look = Callable[[Mapping[str, Any], Mapping[int, BackendOptions]], Iterator[Finding]]
"""Finds what is wrong with the valid top-level groups and backends where they are used."""

_DISCARD_PORT = 9


def looking_around(directory: Path, *, elsewhere: bool) -> Look:
    """`directory`: of the configuration; `elsewhere`: the proxy will run on another machine than this."""

    def look(groups: Mapping[str, Any], backends: Mapping[int, BackendOptions]) -> Iterator[Finding]:
        yield from file_findings(groups.get("tokenizers") or {}, backends, directory, elsewhere=elsewhere)
        if isinstance(tls := groups.get("tls"), ServerTlsSettings):
            yield from server_tls_findings(tls, elsewhere=elsewhere)
        yield from expiry_findings(groups.get("tenants") or (), time.time())
        yield from prompt_findings(groups.get("prompts") or (), elsewhere=elsewhere)
        yield from state_findings(groups.get("state") or "off", elsewhere=elsewhere)
        yield from log_findings(groups.get("log"), elsewhere=elsewhere)
        if groups.get("slos"):
            yield from slo_file_findings(groups.get("slo_state"), groups.get("state"), elsewhere=elsewhere)
        if not elsewhere:
            yield from telemetry_package_findings(groups.get("telemetry"))
            known = {found.path for found in loop_findings(groups, backends, nobody_knows)}
            yield from (f for f in loop_findings(groups, backends, cache(is_own_host)) if f.path not in known)

    return look


def looking_nowhere(groups: Mapping[str, Any], backends: Mapping[int, BackendOptions]) -> Iterator[Finding]:
    """For text that is not about this machine."""
    yield from ()


def is_own_host(host: str) -> bool:
    """Whether this machine has the address or the name: the routing table reaches its own addresses from themselves."""
    name = socket.gethostname().lower()
    if host in (name, name.partition(".")[0]):
        return True
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host)  # nothing that would be resolved
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((host, _DISCARD_PORT))
            return bool(probe.getsockname()[0] == host)
    except OSError:
        return False
