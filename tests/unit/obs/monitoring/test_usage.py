"""Tenants and models."""

from proxy.obs.monitoring.usage import usage


def test_the_table_is_of_the_time_that_is_shown_by_tenant_and_model() -> None:
    panel = usage().rows[0].panels[0]
    assert panel.kind == "table"
    assert len(panel.queries) == 5
    assert all("[$__range]" in query.expr and "by (tenant, model)" in query.expr for query in panel.queries)


def test_percentiles_of_models_are_chosen_by_the_model() -> None:
    (row,) = [row for row in usage().rows if row.title == "Models"]
    assert all('by="model", name=~"$model"' in query.expr for panel in row.panels for query in panel.queries)
