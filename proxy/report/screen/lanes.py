"""Classes of traffic and error budgets: what was promised, and what became of it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.text import Text

from proxy.report.screen.drawn import BAD, DIM, GOOD, WARN, bar, chart
from proxy.report.screen.grid import Cell, Column, grid
from proxy.report.screen.section import Section, cut
from proxy.report.screen.watched import Trend, Watched
from proxy.report.screen.words import ABSENT, amount, inner, number, percent, plain, rate, seconds, whole

_PROMISES: Final = (("ttft_s", "TTFT"), ("tpot_s", "TPOT"), ("e2e_s", "E2E"), ("deadline_s", "deadline"))
_PERCENTILES: Final = ("p50", "p95", "p99")
_LOW, _LOWER = 0.95, 0.8
"""Shares of promises kept."""
_FEWEST: Final = 5
"""Lines of classes, and of budgets, that are shown before others get more."""

_LANE: Final = (
    Column("CLASS", least=11, usual=11),
    Column("", usual=12),
    Column("p50", right=True, usual=6),
    Column("p95", right=True, usual=6),
    Column("p99", right=True, rank=3, usual=6),
    Column("trend", right=True, rank=2, usual=6, most=60),
    Column("running", right=True, usual=7),
    Column("goodput/all", right=True, usual=11),
    Column("kept", right=True, rank=1, usual=7),
)
_TREND: Final = [one.title for one in _LANE].index("trend")
_ROW: Final = (
    Column("CLASS", least=8, usual=12),
    Column("running", right=True, usual=4),
    Column("held", right=True, usual=4),
    Column("TTFT p50", right=True, rank=3, usual=8),
    Column("TTFT p95", right=True, usual=8),
    Column("TPOT p50", right=True, rank=4, usual=8),
    Column("TPOT p95", right=True, rank=1, usual=8),
    Column("goodput/all", right=True, usual=11),
    Column("kept", right=True, rank=2, usual=7),
)


def lanes(watched: Watched, width: int, *, charts: bool) -> Section:
    """A lane of two lines for each class, one where there is no room; `charts`: with its past."""
    classes = inner(watched.document, "classes")
    roomy = [line for name in classes for line in _lane(name, inner(classes, name), watched.trends.get(name))]
    if not charts:
        roomy = [[*line[:_TREND], *line[_TREND + 1 :]] for line in roomy]
    wanted = 1 + len(roomy)

    def lines(rows: int) -> list[Text]:
        if rows >= wanted:
            return grid(_LANE if charts else [*_LANE[:_TREND], *_LANE[_TREND + 1 :]], roomy, width)
        return cut(grid(_ROW, [_row(name, inner(classes, name)) for name in classes], width), rows, _more)

    if not classes:
        return Section(lines, 0, 0)
    return Section(lines, 1 + min(len(classes), _FEWEST), wanted, 90, upto=1 + len(classes))


def _lane(name: str, one: Mapping[str, Any], trend: Trend | None) -> list[list[Cell]]:
    promise = inner(one, "promise")
    word, said = Text(plain(name), "bold"), Text(promised(one, _PROMISES[2:]), DIM)
    state: list[Cell] = [whole(one.get("in_flight")), _held(one)]
    output = [_tokens(one), Text(f"{rate(one.get('requests_per_s'))} req/s", DIM)]
    share = [_kept(one), Text(_ended(one), DIM)]
    if not samples(one) and not amount(one.get("in_flight")) and not amount(one.get("held")):
        blank: list[Cell] = [""] * 4
        first = promised(one, _PROMISES[:1])
        return [[word, Text(first or said.plain, DIM), *blank, Text("idle", DIM), "", share[0]]]
    found: list[list[Cell]] = []
    for at, (key, measure) in enumerate(_PROMISES[:2]):
        most = number(promise.get(key))
        ring = None if trend is None else trend[at]
        times: list[Cell] = [duration(inner(one, key).get(p), most) for p in _PERCENTILES]
        label = Text(measure if most is None else f"{measure} ≤{seconds(most)}", DIM)
        found.append([(word, said)[at], label, *times, chart(ring, most), state[at], output[at], share[at]])
    return found


def _row(name: str, one: Mapping[str, Any]) -> list[Cell]:
    promise, ttft, tpot = inner(one, "promise"), inner(one, "ttft_s"), inner(one, "tpot_s")
    by_ttft, by_tpot = number(promise.get("ttft_s")), number(promise.get("tpot_s"))
    return [
        Text(plain(name), "bold"),
        whole(one.get("in_flight")),
        Text(whole(one.get("held")), WARN if amount(one.get("held")) else ""),
        duration(ttft.get("p50"), by_ttft),
        duration(ttft.get("p95"), by_ttft),
        duration(tpot.get("p50"), by_tpot),
        duration(tpot.get("p95"), by_tpot),
        _tokens(one),
        _kept(one),
    ]


def samples(one: Mapping[str, Any]) -> float:
    """How many jobs its percentiles are of."""
    return amount(inner(one, "e2e_s").get("samples")) + amount(inner(one, "ttft_s").get("samples"))


def duration(value: object, promised_s: float | None = None) -> Text:
    """Red when it is later than promised."""
    known = number(value)
    late = known is not None and promised_s is not None and known > promised_s
    return Text(seconds(value), f"bold {BAD}" if late else DIM if known is None else "")


def promised(one: Mapping[str, Any], of: Sequence[tuple[str, str]]) -> str:
    """Of these measures, in a few words."""
    promise = inner(one, "promise")
    words = [f"{word} ≤{seconds(promise[name])}" for name, word in of if number(promise.get(name))]
    return ", ".join([*words, *["gives way"] * (one.get("bulk") is True)])


def _held(one: Mapping[str, Any]) -> Text:
    held = amount(one.get("held"))
    return Text(f"{whole(one.get('held'))} held", WARN if held else DIM)


def _tokens(one: Mapping[str, Any]) -> Text:
    good, everything = number(one.get("good_tokens_per_s")), number(one.get("tokens_per_s"))
    style = WARN if good is not None and everything and good < everything * _LOW else ""
    return Text.assemble((rate(good), style), ("/", DIM), rate(everything))


def _kept(one: Mapping[str, Any]) -> Text:
    share = number(one.get("attainment"))
    if share is None:
        return Text(ABSENT, DIM)
    return Text(percent(share), GOOD if share >= _LOW else WARN if share >= _LOWER else f"bold {BAD}")


def _ended(one: Mapping[str, Any]) -> str:
    ended = inner(one, "ended")
    bad = sum(amount(count) for word, count in ended.items() if word in ("late", "refused", "failed"))
    return f"{whole(bad)} not" if bad else ""


def _more(count: int) -> Text:
    return Text(f"… and {count} more classes", DIM)


# --- error budgets

_BUDGET: Final = (
    Column("BUDGET", least=10, usual=14),
    Column("objective", right=True, rank=2),
    Column("attained", right=True, usual=8),
    Column("left", right=True, usual=7),
    Column("", rank=3, usual=6, most=40),
    Column("burn 1h", right=True),
    Column("spent in", right=True, rank=1, usual=8),
    Column("alert", usual=6),
)


def budgets(document: Mapping[str, Any], width: int) -> list[Section]:
    """What is left of each; nothing where there are no objectives."""
    slos = inner(document, "slos")
    if not slos:
        return []
    rows = [_budget(name, inner(slos, name)) for name in slos]
    lines = grid(_BUDGET, rows, width)
    least = 1 + min(len(rows), _FEWEST)
    return [Section(lambda most: cut(lines, most, _more_budgets), least, len(lines), 85)]


def _budget(name: str, one: Mapping[str, Any]) -> Sequence[Cell]:
    left, until = number(one.get("error_budget_left")), number(one.get("exhausted_in_s"))
    style = DIM if left is None else GOOD if left > 0.5 else WARN if left > 0.1 else BAD
    burn = number(inner(one, "burn_rates").get("1h"))
    alert = plain(one.get("alert"))
    return [
        Text(plain(name), "bold"),
        percent(one.get("objective")),
        percent(one.get("attainment")),
        Text(percent(left), style),
        bar(left, style=style),
        ABSENT if burn is None else f"{burn:.3g}",
        "never" if until is None else seconds(until) if until else Text("spent", BAD),
        Text(alert or ABSENT, f"bold {BAD}" if alert else DIM),
    ]


def _more_budgets(count: int) -> Text:
    return Text(f"… and {count} more: tidegate slo status", DIM)
