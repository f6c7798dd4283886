"""Each engine."""

from proxy.obs.monitoring.backends import backends


def test_latencies_know_no_pool_and_are_chosen_by_its_backends() -> None:
    variables = dict(backends().variables)
    assert list(variables) == ["instance", "pool", "backend"]
    assert 'pool=~"$pool"' in variables["backend"]
    (panel,) = [p for row in backends().rows for p in row.panels if p.title == "Time to first token, p95"]
    assert 'backend=~"$backend"' in panel.queries[0].expr
    assert "pool" not in panel.queries[0].expr


def test_what_is_wrong_with_an_engine_is_not_averaged_away() -> None:
    (healthy,) = [p for row in backends().rows for p in row.panels if p.title == "Healthy"]
    assert healthy.queries[0].expr.startswith("min by (backend)")
    assert [word for _, word, _ in healthy.words] == ["out", "healthy"]
