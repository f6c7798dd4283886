"""What is wrong with `store` as a whole."""

from collections.abc import Iterator

from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.model.store import StoreSettings
from proxy.model.units import format_size


def store_findings(store: StoreSettings) -> Iterator[Finding]:
    """A folder here and another proxy at once; files that could never be taken."""
    if store.path is not None and store.url is not None:
        text = "names another proxy, and path a folder here: files and batches are kept in one place"
        yield Finding(("store", "url"), text, "leave one of them out")
    if store.file > store.size:
        text = f"is more than all files may have together (size: {format_size(store.size)})"
        yield Finding(("store", "file"), text, "a larger size, or smaller files", Severity.WARNING)
