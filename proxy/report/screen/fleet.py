"""Backends: their state, load, and what was learned of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from rich.text import Text

from proxy.report.screen.drawn import BAD, DIM, GOOD, WARN, bar, load_style
from proxy.report.screen.grid import Cell, Column, grid
from proxy.report.screen.section import Section, cut
from proxy.report.screen.words import ABSENT, amount, inner, number, percent, plain, seconds, short, times, whole

_STATES: Final = {
    "healthy": ("healthy", GOOD),
    "probation": ("on trial", WARN),
    "ejected": ("ejected", BAD),
    "away": ("away", BAD),
}
_SLOW: Final = 1.05
"""Times the prediction."""
_FEWEST: Final = 6
ORDERS: Final = ("configured", "trouble", "in flight", "KV", "slowness")
"""In which they can be shown."""

_COLUMNS: Final = (
    Column("BACKEND", least=10, usual=12),
    Column("pool", rank=6, least=8),
    Column("state", usual=8),
    Column("in flight", right=True, usual=7),
    Column("", rank=3, usual=6, most=14),
    Column("KV", right=True, usual=6),
    Column("", rank=4, usual=6, most=14),
    Column("backlog", right=True, usual=7),
    Column("prefill tok/s", right=True, rank=5),
    Column("TPOT", right=True, usual=6),
    Column("slow", right=True, rank=2, usual=5),
    Column("", rank=1, least=8),
)


def backends(document: Mapping[str, Any], width: int, *, order: str = "", skip: int = 0, weight: int = 80) -> Section:
    """A line each, from the `skip`th on. Unless an `order` is given, those with trouble come first when not all fit."""
    every = inner(document, "backends")
    pools = {plain(inner(every, name).get("pool")) for name in every}
    wanted = 1 + len(every)

    def lines(rows: int) -> list[Text]:
        chosen = order or ("configured" if rows >= wanted else "trouble")
        names = ordered(every, chosen)[skip : skip + rows]
        columns = _COLUMNS if len(pools) > 1 else [one for one in _COLUMNS if one.title != "pool"]
        shown = [_row(name, inner(every, name), with_pool=len(pools) > 1) for name in names]
        left_out = len(every) - skip - len(names)
        made = grid(columns, shown, width)
        return cut([*made, *[Text("")] * left_out], rows, _more)

    if not every:
        return Section(lambda _: [Text("no backends", WARN)], 1, 1, weight)
    return Section(lines, 1 + min(len(every), _FEWEST), wanted - skip, weight)


def ordered(every: Mapping[str, Any], order: str) -> list[str]:
    """Their names; equal ones stay as configured."""
    keys: dict[str, Callable[[Mapping[str, Any]], float]] = {
        "trouble": _trouble,
        "in flight": lambda one: amount(one.get("in_flight")),
        "KV": lambda one: _share(one.get("kv_used_tokens"), one.get("kv_tokens")) or 0.0,
        "slowness": lambda one: max(amount(one.get("slowness")), amount(one.get("decode_slowness"))),
    }
    if order not in keys:
        return list(every)
    return sorted(every, key=lambda name: -keys[order](inner(every, name)))


def _trouble(one: Mapping[str, Any]) -> float:
    """Ill, then slow, then busy."""
    ill = one.get("state") != "healthy" or number(one.get("paused_for_s")) is not None or one.get("leaving") is True
    slow = max(amount(one.get("slowness")), amount(one.get("decode_slowness")))
    return 1e6 * ill + 1e3 * (slow if slow > _SLOW else 0.0) + min(amount(one.get("in_flight")), 999.0)


def state_of(one: Mapping[str, Any]) -> Text:
    """In a word."""
    if number(one.get("paused_for_s")) is not None:
        return Text("paused", WARN)
    if one.get("leaving") is True:
        return Text("leaving", WARN)
    state = plain(one.get("state"))
    word, style = _STATES.get(state, (state or ABSENT, WARN))
    return Text(word, style if style is GOOD else f"bold {style}")


def bound_of(one: Mapping[str, Any]) -> float | None:
    """The tightest bound of what may be in flight there."""
    bounds = [number(one.get(name)) for name in ("permits", "places", "seats")]
    return min((bound for bound in bounds if bound is not None), default=None)


def _row(name: str, one: Mapping[str, Any], *, with_pool: bool) -> Sequence[Cell]:
    most, kv = bound_of(one), _share(one.get("kv_used_tokens"), one.get("kv_tokens"))
    load = _share(one.get("in_flight"), most)
    in_flight = whole(one.get("in_flight")) + ("" if most is None else f"/{whole(most)}")
    used = short(one.get("kv_used_tokens")) if kv is None else percent(kv)
    slow = max(amount(one.get("slowness")), amount(one.get("decode_slowness")))
    cells: list[Cell] = [
        Text(plain(name), "bold"),
        state_of(one),
        in_flight,
        bar(load, style=load_style(load or 0.0)),
        used,
        bar(kv, style=load_style(kv or 0.0)),
        Text(seconds(one.get("backlog_s")), "" if amount(one.get("backlog_s")) else DIM),
        short(one.get("learned_prefill_tokens_per_s")),
        Text(seconds(one.get("learned_tpot_s"))),
        Text(times(slow) if slow else ABSENT, WARN if slow > _SLOW else DIM),
        Text("; ".join(notes(one)), DIM),
    ]
    if with_pool:
        cells.insert(1, plain(one.get("pool")))
    return cells


def notes(one: Mapping[str, Any]) -> list[str]:
    """What is unusual about it."""
    found = []
    ejected, paused, share = (number(one.get(name)) for name in ("ejected_for_s", "paused_for_s", "share"))
    if ejected is not None:
        found.append(f"back in {seconds(ejected)}")
    if paused is not None:
        found.append(f"asked for a pause of {seconds(paused)}")
    if one.get("asleep") is True:
        found.append("asleep")
    if amount(one.get("failures_in_a_row")):
        found.append(f"{whole(one.get('failures_in_a_row'))} failures in a row")
    if share is not None and share < 1:
        found.append(f"slow start, {percent(share)}")
    if amount(one.get("foreign")) > 0.5:
        found.append(f"{whole(one.get('foreign'))} of others")
    if not amount(one.get("ttft_samples")):
        found.append("nothing learned yet")
    return found


def _share(used: object, most: object) -> float | None:
    some, all_of_it = number(used), number(most)
    return some / all_of_it if some is not None and all_of_it else None


def _more(count: int) -> Text:
    return Text(f"… and {count} more backends", DIM)


# --- pools

_POOL: Final = (
    Column("POOL", least=10, usual=12),
    Column("backends", right=True),
    Column("used", right=True, usual=7),
    Column("", rank=2, usual=6, most=30),
    Column("predicted wait", right=True, rank=1),
    Column("", rank=3, least=8),
)


def pools(document: Mapping[str, Any], width: int) -> list[Section]:
    """A line each, where there are several."""
    every, of = inner(document, "pools"), inner(document, "backends")
    if len(every) < 2:
        return []
    rows = [_pool(name, inner(every, name), sum(inner(of, one).get("pool") == name for one in of)) for name in every]
    lines = grid(_POOL, rows, width)
    return [Section(lambda most: cut(lines, most, _more_pools), 1 + min(len(rows), 3), len(lines), 40)]


def _pool(name: str, one: Mapping[str, Any], backends: int) -> Sequence[Cell]:
    used = number(one.get("utilisation"))
    enforces = one.get("enforces") is True
    return [
        Text(plain(name), "bold"),
        whole(backends),
        percent(used),
        bar(used, style=load_style(used or 0.0)),
        seconds(one.get("predicted_wait_s")),
        Text("refuses what would be late" if enforces else "refuses nothing for time yet", DIM),
    ]


def _more_pools(count: int) -> Text:
    return Text(f"… and {count} more pools", DIM)
