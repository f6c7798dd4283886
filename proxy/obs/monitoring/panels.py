"""Dashboards as plain values, and the JSON of Grafana that they become.

Owns ids, places and what all panels have in common. Which panels there are: the modules beside this one.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from string import ascii_uppercase
from typing import Any, Final, Literal, NamedTuple

from proxy.obs.monitoring.queries import drawn

COLUMNS: Final = 24
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_SCHEMA: Final = 39
_ALL: Final = {"selected": True, "text": ["All"], "value": ["$__all"]}
Kind = Literal["timeseries", "stat", "state-timeline", "table"]


class Query(NamedTuple):
    """One line or more of a panel."""

    expr: str
    legend: str
    """`{{label}}` stands for its value."""


class Step(NamedTuple):
    """From this value on, this colour."""

    colour: str
    value: float | None = None
    """None: from the beginning."""


class Panel(NamedTuple):
    """One picture."""

    title: str
    reads: str
    """How it is read, and what to do when it looks bad."""
    unit: str
    """One of Grafana's."""
    queries: Sequence[Query]
    kind: Kind = "timeseries"
    width: int = 8
    height: int = 8
    stacked: bool = False
    most: float | None = None
    """Upper end of the axis."""
    steps: Sequence[Step] = ()
    """Colours of a number."""
    words: Sequence[tuple[float, str, str]] = ()
    """Value, what it is called, its colour."""


class Row(NamedTuple):
    """A heading and what stands below it."""

    title: str
    panels: Sequence[Panel]


class Dashboard(NamedTuple):
    """One file."""

    uid: str
    """Also the name of the file."""
    title: str
    text: str
    variables: Sequence[tuple[str, str]]
    """Name (of a label) and the query of its values."""
    rows: Sequence[Row]


def graph(title: str, unit: str, reads: str, *queries: tuple[str, str], stacked: bool = False) -> Panel:
    """Lines over time; each query is an expression and its legend."""
    return Panel(title, reads, unit, [Query(*one) for one in queries], stacked=stacked)


def stat(title: str, unit: str, reads: str, expr: str, *steps: Step) -> Panel:
    """One number."""
    return Panel(title, reads, unit, [Query(expr, title)], "stat", 4, 4, steps=steps)


def states(title: str, reads: str, query: tuple[str, str], *words: tuple[float, str, str]) -> Panel:
    """What something was over time; each word is a value, what it is called, and its colour."""
    return Panel(title, reads, "none", [Query(*query)], "state-timeline", words=words)


def table(title: str, unit: str, reads: str, *queries: tuple[str, str], width: int = COLUMNS) -> Panel:
    """A row for each group of labels, a column for each query."""
    return Panel(title, reads, unit, [Query(*one) for one in queries], "table", width)


def document(dashboard: Dashboard) -> dict[str, Any]:
    """What Grafana imports."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.text,
        "tags": ["tidegate"],
        "timezone": "browser",
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "links": [_others()],
        "templating": {"list": [_data_source(), *(_variable(name, query) for name, query in dashboard.variables)]},
        "annotations": {"list": [_reloads()]},
        "panels": list(_placed(dashboard.rows)),
    }


def _placed(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """From left to right, then below."""
    ids, y = count(1), 0
    for row in rows:
        yield _heading(next(ids), row.title, y)
        x, y, tallest = 0, y + 1, 0
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y, tallest = 0, y + tallest, 0
            yield _panel(next(ids), panel, {"x": x, "y": y, "w": panel.width, "h": panel.height})
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest


def _heading(number: int, title: str, y: int) -> dict[str, Any]:
    place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": _description(panel),
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel.kind),
        **_merged(panel),
        "targets": [
            _target(letter, one, panel.kind) for letter, one in zip(ascii_uppercase, panel.queries, strict=False)
        ],
    }


def _description(panel: Panel) -> str:
    """How it is read, then what its metrics are in their own words."""
    known = {one.name: one.text for query in panel.queries for one in drawn(query.expr)}
    return "\n\n".join([panel.reads, *(f"`{name}`: {text}" for name, text in known.items())])


def _defaults(panel: Panel) -> dict[str, Any]:
    made: dict[str, Any] = {"unit": panel.unit}
    if panel.kind in ("timeseries", "state-timeline"):
        made["min"] = 0
    if panel.most is not None:
        made["max"] = panel.most
    if panel.words:
        options = {f"{value:g}": {"text": text, "color": colour} for value, text, colour in panel.words}
        made["mappings"] = [{"type": "value", "options": options}]
    steps = panel.steps or (Step("green"),)
    made["thresholds"] = {"mode": "absolute", "steps": [{"color": one.colour, "value": one.value} for one in steps]}
    if panel.kind == "timeseries":
        stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
        fill = 25 if panel.stacked else 8
        made["custom"] = {"lineWidth": 1, "fillOpacity": fill, "showPoints": "never", "stacking": stacking}
    return made


def _options(kind: Kind) -> dict[str, Any]:
    if kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
    if kind == "table":
        return {"showHeader": True, "cellHeight": "sm"}
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


def _merged(panel: Panel) -> dict[str, Any]:
    """The columns of a table side by side, without what is the same in all of them."""
    if panel.kind != "table":
        return {}
    names = {f"Value #{letter}": one.legend for letter, one in zip(ascii_uppercase, panel.queries, strict=False)}
    organised = {"excludeByName": {"Time": True}, "renameByName": {**names, "Value": panel.queries[0].legend}}
    return {"transformations": [{"id": "merge", "options": {}}, {"id": "organize", "options": organised}]}


def _target(letter: str, query: Query, kind: Kind) -> dict[str, Any]:
    shape = {"format": "table", "instant": True, "range": False} if kind == "table" else {"range": True}
    return {"refId": letter, "datasource": SOURCE, "expr": query.expr, "legendFormat": query.legend, **shape}


def _data_source() -> dict[str, Any]:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1}


def _variable(name: str, query: str) -> dict[str, Any]:
    """All of the values that there are unless told otherwise: they stand in the query one by one, so that a variable
    which follows another one (backends of a pool) selects by it too."""
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": "variable"},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "current": _ALL,
    }


def _reloads() -> dict[str, Any]:
    """A line at each moment at which another configuration was put in place."""
    return {
        "name": "Configuration loaded",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "purple",
        "expr": 'tidegate_config_last_reload_timestamp_seconds{instance=~"$instance"} * 1000',
        "useValueForTime": True,
        "titleFormat": "configuration loaded",
        "textFormat": "{{instance}}",
        "step": "60s",
    }


def _others() -> dict[str, Any]:
    return {
        "type": "dashboards",
        "title": "Tidegate",
        "tags": ["tidegate"],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
    }
