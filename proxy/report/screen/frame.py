"""The whole screen: which parts it has in which view, and how they share its height."""

from typing import Final, NamedTuple

from rich.text import Text

from proxy.report.screen.drawn import ACCENT, DIM, WARN
from proxy.report.screen.fleet import ORDERS, backends, pools
from proxy.report.screen.head import Link, config, figures, title, trouble, waiting
from proxy.report.screen.lanes import budgets, lanes
from proxy.report.screen.section import NO_BOUND, Section, beside, stacked
from proxy.report.screen.verdicts import decisions
from proxy.report.screen.watched import MOST_DECISIONS, Watched
from proxy.report.screen.words import inner, objects

_AIRY: Final = 30
"""Lines from which parts stand apart,"""
_FOOTED: Final = 8
"""and from which there is one for the keys."""
_OF_A_STATUS: Final = 10
"""Decisions."""
VIEWS: Final = ("all", "backends", "decisions")
HELP: Final = (
    ("1 2 3, Tab", "everything; backends; decisions"),
    ("↑ ↓ PgUp PgDn", "through backends and decisions"),
    ("s", "order of backends: " + ", ".join(ORDERS)),
    ("n", "decisions: all, or those in which something was decided against the usual"),
    ("Space", "holds the picture, and lets it go"),
    ("?", "this help"),
    ("q, Ctrl-C", "ends"),
)


class View(NamedTuple):
    """What somebody wants to see."""

    shows: str = "all"
    order: str = ""
    """Of backends; empty: as configured, trouble first where not all fit."""
    notable: bool = False
    skip: int = 0
    """Lines that were scrolled away."""
    help: bool = False
    held: bool = False
    """The picture stands still."""


def screen(watched: Watched, view: View, link: Link, width: int, height: int) -> list[Text]:
    """Lines of a terminal of that size; dimmed below what is said of a proxy that was lost."""
    foot = [_foot(view, width)] if height >= _FOOTED else []
    alarm = trouble(watched.document, link, width)[: max(height - len(foot), 0)]
    airy = height >= _AIRY
    room = height - len(foot) - len(alarm)
    body = _help(width)[:room] if view.help else stacked(_parts(watched, view, link, width, roomy=airy), room, airy)
    if alarm:
        for line in body:
            line.stylize(DIM)
    lines = [*alarm, *body, *[Text("") for _ in range(room - len(body))], *foot]
    for line in lines:
        line.truncate(width)
    return lines


def page(watched: Watched, link: Link, width: int, *, charts: bool) -> list[Text]:
    """All of it, however high; `charts`: with the past, where there is one."""
    last = decisions(watched.document, width, most=_OF_A_STATUS)
    parts = _everything(watched, link, width, last, charts=charts, roomy=True)
    return [*trouble(watched.document, link, width), *stacked(parts, NO_BOUND, 1)]


def most_skip(watched: Watched, view: View) -> int:
    """How far somebody may scroll."""
    if view.shows == "backends":
        return max(len(inner(watched.document, "backends")) - 1, 0)
    if view.shows == "decisions":
        return max(len(objects(watched.document.get("notable" if view.notable else "decisions"))) - 1, 0)
    return 0


def _parts(watched: Watched, view: View, link: Link, width: int, *, roomy: bool) -> list[Section]:
    document = watched.document
    head = [title(document, link, width), figures(watched, width, charts=True)]
    if view.shows == "backends":
        order = view.order or ORDERS[0]
        return [*head, backends(document, width, order=order, skip=view.skip, weight=90), *pools(document, width)]
    if view.shows == "decisions":
        return [*head, decisions(document, width, notable=view.notable, skip=view.skip, most=MOST_DECISIONS)]
    last = decisions(document, width, notable=view.notable)
    return _everything(watched, link, width, last, view.order, charts=True, roomy=roomy)


def _everything(
    watched: Watched, link: Link, width: int, last: Section, order: str = "", *, charts: bool, roomy: bool
) -> list[Section]:
    document = watched.document
    return [
        title(document, link, width),
        figures(watched, width, charts=charts),
        lanes(watched, width, charts=charts),
        *budgets(document, width),
        backends(document, width, order=order),
        *(pools(document, width) if roomy else []),
        beside(waiting(document, width), config(document, width)),
        last,
    ]


def _help(width: int) -> list[Text]:
    lines = [Text("KEYS", "bold"), *[Text.assemble((f"{keys:<14}", ACCENT), what) for keys, what in HELP]]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _foot(view: View, width: int) -> Text:
    """What can be pressed, and what is chosen."""
    line = Text()
    for at, shows in enumerate(VIEWS, 1):
        line.append(f" {at} {shows} ", "reverse" if shows == view.shows else "")
    facts = ["? help", "q quit"]
    if view.order:
        facts.append(f"backends by {view.order}")
    if view.notable:
        facts.append("notable ones")
    line.append("  " + "  ".join(facts), DIM)
    if view.held:
        line.append("  HELD: Space lets go", f"bold {WARN}")
    line.truncate(width)
    return line
