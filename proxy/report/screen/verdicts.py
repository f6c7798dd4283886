"""The last decisions: where each request went, why, and how it ended."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.text import Text

from proxy.report.screen.drawn import BAD, DIM, GOOD, WARN
from proxy.report.screen.grid import Cell, Column, grid
from proxy.report.screen.section import Section
from proxy.report.screen.words import ABSENT, clock, inner, objects, plain, seconds, strings, whole

_WORDS: Final = {
    "served": ("kept", GOOD),
    "shed": ("refused", BAD),
    "failed": ("failed", BAD),
    "cancelled": ("client left", WARN),
}
_FEWEST: Final = 4

_COLUMNS: Final = (
    Column("", usual=8),
    Column("class", least=11, usual=11),
    Column("model", rank=6, least=8),
    Column("backend", least=8, usual=8),
    Column("because", least=8, usual=8),
    Column("waited", right=True, rank=4, usual=6),
    Column("TTFT", right=True, rank=1, usual=6),
    Column("TPOT", right=True, rank=3, usual=6),
    Column("E2E", right=True, rank=5, usual=6),
    Column("tokens", right=True, rank=2),
    Column("outcome", usual=11),
)

_RANKS: Final = {"waited": 0, "TTFT": 3}
"""Of the notable ones: many are so because they waited."""


def decisions(
    document: Mapping[str, Any], width: int, *, notable: bool = False, skip: int = 0, most: int = 50
) -> Section:
    """The newest first, a line each."""
    every = objects(document.get("notable" if notable else "decisions"))[skip : skip + most]
    title = "NOTABLE" if notable else "ENDED"
    columns = [one._replace(rank=_RANKS.get(one.title, one.rank)) if notable else one for one in _COLUMNS]
    columns[0] = columns[0]._replace(title=title)
    if not every:
        return Section(lambda _: _nothing(document, width, title), 2, 2, 30)
    return Section(
        lambda rows: grid(columns, [_row(one) for one in every[: rows - 1]], width), 1 + _FEWEST, 1 + len(every), 75, 0
    )


def outcome(one: Mapping[str, Any]) -> Text:
    """In a word or two."""
    missed = strings(one.get("missed"))
    if one.get("verdict") == "served" and missed:
        return Text(f"late {', '.join(missed).upper()}", WARN)
    verdict = plain(one.get("verdict"))
    return Text(*_WORDS.get(verdict, (verdict, WARN)))


def _row(one: Mapping[str, Any]) -> Sequence[Cell]:
    return [
        Text(clock(one.get("ended_at")), DIM),
        plain(one.get("class")),
        plain(one.get("model")),
        plain(one.get("backend")) or ABSENT,
        plain(one.get("why")) or Text("policy", DIM),
        seconds(one.get("queued_s")),
        seconds(one.get("ttft_s")),
        seconds(one.get("tpot_s")),
        seconds(one.get("e2e_s")),
        whole(one.get("output_tokens")),
        outcome(one),
    ]


def _nothing(document: Mapping[str, Any], width: int, title: str) -> list[Text]:
    if inner(document, "totals").get("finished") or document.get("decisions_seq"):
        said = (
            "Nothing was refused, retried, hedged, sent elsewhere or held for long."
            if title == "NOTABLE"
            else "None yet."
        )
    else:
        said = f"No request yet. Point an OpenAI client's base_url at {plain(document.get('listen'))}/v1"
    lines = [Text(title, "bold"), Text(said, DIM)]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines
