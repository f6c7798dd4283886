"""A configuration that could be put in place: all that it names in files is read, so that what can fail has failed.

Owns that reading, which blocks: at the start nobody waits, and a reload does it in a thread.
"""

import ssl
from typing import NamedTuple

from proxy.app import parts
from proxy.app.listeners import StartError
from proxy.config.schema import Config
from proxy.config.server_tls import UnusableTlsError, certificate_ends, server_context
from proxy.live.upstream.address import SocketAddress
from proxy.live.upstream.backends import addresses_of
from proxy.wire.prompts.named import NamedPrompts


class Candidate(NamedTuple):
    """One configuration with its files."""

    config: Config
    rule_lines: tuple[int, ...]
    """Where each of `routing.rules` stands in the file."""
    named: NamedPrompts | None
    """Prompts with names; None: there are none."""
    addresses: dict[str, SocketAddress]
    """Of the backends."""
    tls: ssl.SSLContext | None
    """Towards clients; None: plain HTTP."""
    tls_ends: float | None
    """When its certificate is valid no more, seconds since 1970; None: nobody knows."""


def candidate(config: Config, rule_lines: tuple[int, ...] = ()) -> Candidate:
    """StartError when a file that it names cannot be used."""
    try:
        addresses = addresses_of(config)
    except OSError as error:
        raise StartError(f"Cannot use a CA file of the backends: {error}") from error
    try:
        tls = server_context(config.tls)
    except UnusableTlsError as error:
        raise StartError(f"Cannot speak TLS: tls.{error.option}: {error}") from error
    return Candidate(config, rule_lines, parts.named_prompts(config), addresses, tls, certificate_ends(config.tls))
