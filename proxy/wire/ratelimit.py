"""`x-ratelimit-*` headers as OpenAI writes them: limit, remaining and reset, of requests and of tokens."""

from collections.abc import Iterator

from proxy.model.tenants import Allowance, QuotaView

_PREFIX = b"x-ratelimit-"


def replaced(headers: list[tuple[bytes, bytes]], quota: QuotaView) -> list[tuple[bytes, bytes]]:
    """The headers of an answer with ours: those of the engine are about its key, not about this tenant."""
    kept = [header for header in headers if not header[0].startswith(_PREFIX)]
    for what, allowance in ((b"requests", quota.requests), (b"tokens", quota.tokens)):
        if allowance is not None:
            kept += _of(what, allowance)
    return kept


def _of(what: bytes, allowance: Allowance) -> Iterator[tuple[bytes, bytes]]:
    yield _PREFIX + b"limit-" + what, b"%d" % allowance.limit
    yield _PREFIX + b"remaining-" + what, b"%d" % allowance.left
    yield _PREFIX + b"reset-" + what, duration(allowance.full_in_s).encode()


def duration(seconds: float) -> str:
    """`60ms`, `1.5s`, `6m0s`: never less than it is."""
    milliseconds = int(-(-seconds * 1000 // 1))
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes}m{rest / 1000:g}s" if minutes else f"{rest / 1000:g}s"
