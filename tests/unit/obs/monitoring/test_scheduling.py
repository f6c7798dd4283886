"""Decisions."""

from proxy.obs.monitoring.scheduling import scheduling


def test_predictions_stand_beside_what_came_of_them() -> None:
    (row,) = [row for row in scheduling().rows if row.title.startswith("Predictions")]
    drawn = " ".join(query.expr for panel in row.panels for query in panel.queries)
    for name in ("ttft_error", "ttft_coverage", "false_refusal_probes_total", "refusal_alarms_total"):
        assert f"tidegate_pool_{name}" in drawn


def test_what_could_not_be_kept_is_no_miss_of_the_cache() -> None:
    (panel,) = [p for row in scheduling().rows for p in row.panels if p.title == "Answered from memory"]
    part, _, whole = panel.queries[0].expr.partition(" / ")
    assert 'result=~"hit|coalesced"' in part
    assert 'result!="bypass"' in whole
