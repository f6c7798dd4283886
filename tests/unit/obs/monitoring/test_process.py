"""The proxy itself."""

from proxy.obs.monitoring.process import process


def test_memory_is_drawn_against_its_guard() -> None:
    (memory,) = [p for row in process().rows for p in row.panels if p.title == "Memory"]
    drawn = " ".join(query.expr for query in memory.queries)
    assert "process_resident_memory_bytes" in drawn
    assert "tidegate_memory_limit_bytes" in drawn
    assert memory.unit == "bytes"


def test_it_is_chosen_by_instance_alone() -> None:
    assert [name for name, _ in process().variables] == ["instance"]
