"""Places in which an option stood before, and where it is read all the same.

Owns the move; the values keep their lines and columns.
"""

from dataclasses import replace

from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.config.tree import Node, TreeEntry

_MOVED = Finding(
    ("tenants",), "stands below routing, its older place", "move it to the top of the file", Severity.WARNING
)


def moved(root: Node | None) -> tuple[Node | None, tuple[Finding, ...]]:
    """The document with everything where it is now, and what its owner should know."""
    if root is None or not isinstance(root.value, dict) or "routing" not in root.value or "tenants" in root.value:
        return root, ()
    key, routing = root.value["routing"]
    if not isinstance(routing.value, dict) or "tenants" not in routing.value:
        return root, ()
    rest = {name: entry for name, entry in routing.value.items() if name != "tenants"}
    entries = {**root.value, "routing": TreeEntry(key, replace(routing, value=rest))}
    return replace(root, value={**entries, "tenants": routing.value["tenants"]}), (_MOVED,)
