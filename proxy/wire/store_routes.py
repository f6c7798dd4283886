"""Routes of files and batches, which the proxy answers itself where it has a store: what is asked, and of which one."""

from enum import StrEnum
from typing import Final, NamedTuple
from urllib.parse import parse_qs

from proxy.wire.body import invalid


class Does(StrEnum):
    """What is asked."""

    UPLOAD = "upload"
    LIST_FILES = "list_files"
    FILE = "file"
    CONTENT = "content"
    DELETE = "delete"
    CREATE = "create"
    LIST = "list"
    BATCH = "batch"
    CANCEL = "cancel"


class StoreRoute(NamedTuple):
    """Of one request."""

    does: Does | None
    """None: not by this method."""
    id: str = ""
    query: str = ""


_ROUTES: Final[dict[tuple[str, int, str], dict[str, Does]]] = {
    ("files", 1, ""): {"POST": Does.UPLOAD, "GET": Does.LIST_FILES},
    ("files", 2, ""): {"GET": Does.FILE, "DELETE": Does.DELETE},
    ("files", 3, "content"): {"GET": Does.CONTENT},
    ("batches", 1, ""): {"POST": Does.CREATE, "GET": Does.LIST},
    ("batches", 2, ""): {"GET": Does.BATCH},
    ("batches", 3, "cancel"): {"POST": Does.CANCEL},
}
"""(what, segments, the last of three) → method → what is asked."""


def find(method: str, target: bytes) -> StoreRoute | None:
    """None: it is nothing of the store's. With and without `/v1`, and with a slash at the end, as other routes."""
    path, _, query = target.decode("latin-1").partition("?")
    segments = path.strip("/").split("/")
    if segments[0] == "v1":
        segments = segments[1:]
    if not segments or segments[0] not in ("files", "batches") or len(segments) > 3:
        return None
    methods = _ROUTES.get((segments[0], len(segments), segments[2] if len(segments) == 3 else ""))
    if methods is None:
        return None
    return StoreRoute(methods.get(method), segments[1] if len(segments) > 1 else "", query)


class Page(NamedTuple):
    """Which part of a list is asked for."""

    after: str
    limit: int
    purpose: str
    newest: bool


def page(query: str, usual: int, most: int) -> Page:
    """As OpenAI's lists take it. FaultError for a limit or an order that there is not."""
    said = {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}
    limit = said.get("limit", str(usual))
    if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit[:9]) <= most:
        raise invalid(f"`limit` must be a whole number from 1 to {most}.", "limit")
    order = said.get("order", "desc")
    if order not in ("asc", "desc"):
        raise invalid("`order` must be asc or desc.", "order")
    return Page(said.get("after", ""), int(limit), said.get("purpose", ""), order == "desc")


def checked_name(value: object, what: str) -> str:
    """An id in a body. FaultError where there is none."""
    if not isinstance(value, str) or not value or len(value) > 128:
        raise invalid(f"`{what}` must be the id of a file.", what)
    return value
