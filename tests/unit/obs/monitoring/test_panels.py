"""How panels become Grafana's JSON."""

from typing import Any

from proxy.obs.monitoring.panels import Dashboard, Panel, Query, Row, Step, document, graph, stat, states, table

HELD = "sum(tidegate_held_jobs)"
RETRIES = "sum(rate(tidegate_retries_total[5m]))"


def panels(*rows: Row) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document(Dashboard("u", "T", "text", (("pool", "label_values(x, pool)"),), rows))[
        "panels"
    ]
    return found


def test_they_stand_from_left_to_right_and_then_below() -> None:
    one = Panel("a", "Reads.", "short", [Query(HELD, "jobs")], width=16, height=6)
    small = one._replace(title="b", width=8, height=4)
    found = panels(Row("First", (one, small, small)), Row("Second", (small,)))
    assert [panel["title"] for panel in found] == ["First", "a", "b", "b", "Second", "b"]
    assert [panel["id"] for panel in found] == [1, 2, 3, 4, 5, 6]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in found]
    assert places == [(0, 0), (0, 1), (16, 1), (0, 7), (0, 11), (0, 12)]


def test_a_description_says_how_it_is_read_and_what_the_metrics_are() -> None:
    (_, panel) = panels(Row("R", (graph("t", "short", "How.", (HELD, "held"), (RETRIES, "again"), (HELD, "more")),)))
    assert panel["description"].split("\n\n") == [
        "How.",
        "`tidegate_held_jobs`: Jobs waiting here.",
        "`tidegate_retries_total`: Attempts after the first.",
    ]
    assert [target["refId"] for target in panel["targets"]] == ["A", "B", "C"]
    assert panel["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "none"


def test_each_kind_has_its_options() -> None:
    row = Row(
        "R",
        (
            stat("number", "percentunit", "How.", HELD, Step("red"), Step("green", 0.9)),
            states("state", "How.", (HELD, "{{pool}}"), (0, "out", "red"), (1, "in", "green")),
            table("rows", "short", "How.", (HELD, "held"), (RETRIES, "again")),
        ),
    )
    (_, number, state, rows) = panels(row)
    assert number["fieldConfig"]["defaults"]["thresholds"]["steps"] == [
        {"color": "red", "value": None},
        {"color": "green", "value": 0.9},
    ]
    assert state["fieldConfig"]["defaults"]["mappings"][0]["options"]["0"] == {"text": "out", "color": "red"}
    assert [target["format"] for target in rows["targets"]] == ["table", "table"]
    assert all(target["instant"] for target in rows["targets"])
    renamed = rows["transformations"][1]["options"]["renameByName"]
    assert (renamed["Value #A"], renamed["Value #B"]) == ("held", "again")


def test_variables_come_after_the_data_source_and_begin_with_all() -> None:
    found = document(Dashboard("u", "T", "text", (("pool", "label_values(x, pool)"),), ()))
    source, pool = found["templating"]["list"]
    assert (source["name"], source["query"]) == ("datasource", "prometheus")
    assert (pool["query"]["query"], pool["current"]["value"]) == ("label_values(x, pool)", ["$__all"])
    assert "allValue" not in pool  # the values themselves stand in queries
