"""Heads of requests as the edge checks them."""

from proxy.model.limits import HeadLimits
from proxy.wire.headers import Head, HeaderPolicy, check_head


def head(*more: tuple[str, str], method: str = "POST", target: str = "/v1/chat/completions", **headers: str) -> Head:
    """`headers`: names with `_` for `-`; `more`: as they are written."""
    written = [("host", "h"), *((name.replace("_", "-"), value) for name, value in headers.items()), *more]
    raw = [(name.encode(), value.encode("latin-1")) for name, value in written]
    return check_head(
        method.encode(),
        target.encode(),
        "1.1",
        raw,
        limits=HeadLimits(),
        policy=HeaderPolicy(["x-*"]),
        new_id=lambda: "id",
    )
