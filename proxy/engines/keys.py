"""In which headers an engine reads its operator's key, and what else it wants to be told with each request.

Owns that one choice; which headers these are stands in each engine's file.
"""

from proxy.engines.base import Dialect


def key_headers(dialect: Dialect, path: str, key: str | None) -> dict[str, str]:
    """Small letters; for a request of this path, without its query. `key`: None where its client shows its own, which
    passes as it came."""
    if not dialect.key_header or path in dialect.bearer_at:
        return {} if key is None else {"authorization": f"Bearer {key}"}
    return dict(dialect.always_says) | ({} if key is None else {dialect.key_header: key})
