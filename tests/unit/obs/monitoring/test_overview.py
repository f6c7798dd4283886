"""What is looked at first."""

from proxy.obs.monitoring.overview import overview


def test_the_claims_come_first() -> None:
    shown = overview()
    assert shown.uid == "tidegate"
    assert [row.title.partition(" ")[0] for row in shown.rows] == ["Now", "Promises", "Latency", "Requests"]
    assert [panel.title for panel in shown.rows[0].panels][:2] == ["Goodput", "Promises kept"]


def test_who_left_and_what_came_from_memory_do_not_speak_for_promises() -> None:
    kept = [query.expr for row in overview().rows for panel in row.panels for query in panel.queries]
    of_jobs = [expr for expr in kept if "tidegate_slo_requests_total" in expr]
    assert len(of_jobs) == 2
    assert all('result!~"left|cached"' in expr.partition(" / ")[2] for expr in of_jobs)


def test_waiting_here_and_at_the_engine_are_apart() -> None:
    (panel,) = [p for row in overview().rows for p in row.panels if p.title == "Held here, and at the engine"]
    assert {query.legend.split()[0] for query in panel.queries} == {"held", "service"}
