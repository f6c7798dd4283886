"""Heads and faults for the tests of `proxy.wire`: short to write, everything else at its default."""

from collections.abc import Callable
from typing import Any

import pytest

from proxy.model.faults import Fault, FaultError
from proxy.model.limits import HeadLimits, ParameterLimits
from proxy.model.request import Request
from proxy.wire.body import understand
from proxy.wire.headers import Head, HeaderPolicy, check_head
from proxy.wire.routes import route

HOST = (b"Host", b"localhost:8080")
JSON = (b"Content-Type", b"application/json")


def head_of(
    *headers: tuple[bytes, bytes],
    method: bytes = b"POST",
    target: bytes = b"/v1/chat/completions",
    version: str = "1.1",
    limits: HeadLimits | None = None,
    policy: HeaderPolicy | None = None,
    host: bool = True,
) -> Head:
    """A checked head with a Host header."""
    return check_head(
        method,
        target,
        version,
        [HOST, *headers] if host else headers,
        limits=limits or HeadLimits(),
        policy=policy or HeaderPolicy(),
        new_id=lambda: "made-by-us",
    )


def asked(
    body: bytes,
    target: bytes = b"/v1/chat/completions",
    content_type: bytes = b"application/json",
    method: bytes = b"POST",
    limits: ParameterLimits | None = None,
) -> Request:
    """What a body says on a route."""
    head = head_of((b"Content-Type", content_type), method=method, target=target)
    return understand(head, route(target), body, limits or ParameterLimits())


def fault_of(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Fault:
    """The fault that a call ends in."""
    with pytest.raises(FaultError) as raised:
        call(*args, **kwargs)
    return raised.value.fault
