"""The lines about the proxy as a whole: who it is, the five figures, what waits, what is kept, what it was told."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from rich.text import Text

from proxy.report.screen.drawn import ACCENT, BAD, DIM, GOOD, WARN, chart
from proxy.report.screen.grid import Column, grid
from proxy.report.screen.section import Section, cut, fixed
from proxy.report.screen.watched import Watched, total
from proxy.report.screen.words import (
    ABSENT,
    amount,
    clock,
    inner,
    number,
    percent,
    plain,
    rate,
    seconds,
    size,
    strings,
    whole,
)
from proxy.report.tables import UNBOUNDED

_FEWEST_TROUBLE: Final = 2
_LINES_OF_TROUBLE: Final = 3
_DIGITS: Final = 12
"""Of a hash."""


class Link(NamedTuple):
    """How a viewer hears of the proxy."""

    word: str = ""
    """In one word; empty: nobody watches, it was asked once."""
    trouble: str = ""
    """Why it hears nothing now; empty: it does."""
    silent_s: float = 0.0
    """How long it has heard nothing."""
    where: str = ""
    """URL of the admin port."""


def title(document: Mapping[str, Any], link: Link, width: int) -> Section:
    """Name, readiness, age, policy, address; at the right, whether these numbers are fresh."""
    why = document.get("not_ready")
    ready = (
        Text(" ready ", f"bold {GOOD} reverse")
        if why is None
        else Text(f" not ready: {plain(why)} ", f"bold {WARN} reverse")
    )
    age = max(amount(document.get("at")) - amount(document.get("started_at")), 0.0)
    facts = [
        f"up {seconds(age)}",
        plain(document.get("policy")),
        f"{plain(document.get('listen'))}/v1",
        f"version {plain(document.get('version'))}",
    ]
    line = Text.assemble(("tidegate", f"bold {ACCENT}"), " ", ready)
    state = Text.assemble(
        (link.word, f"bold {BAD}" if link.trouble else GOOD), " " if link.word else "", clock(document.get("at"))
    )
    for fact in facts:
        if line.cell_len + 2 + len(fact) + 2 + state.cell_len <= width:
            line.append(f"  {fact}", DIM)
    line.append(" " * (max(width - line.cell_len - state.cell_len, 2) if width < UNBOUNDED else 2))
    line.append_text(state)
    line.truncate(width)
    return fixed([line], 100)


def trouble(document: Mapping[str, Any], link: Link, width: int) -> list[Text]:
    """What is to be known before any number is read."""
    if not link.trouble:
        return []
    said = (
        f"{link.where}: {plain(link.trouble)}. Lost for {seconds(link.silent_s)}: what you see is of"
        f" {clock(document.get('at'))}. It is asked again and again."
    )
    return _wrapped(said, width, f"bold {BAD}")


def figures(watched: Watched, width: int, *, charts: bool) -> Section:
    """What matters first; `charts`: with the past of goodput."""
    document = watched.document
    classes, totals = inner(document, "classes"), inner(document, "totals")
    good, everything = total(classes, "good_tokens_per_s"), total(classes, "tokens_per_s")
    held, bulk = totals.get("held"), amount(totals.get("backfill"))
    goodput = Text.assemble((rate(good), f"bold {GOOD}"), (f" of {rate(everything)} tok/s", DIM))
    waiting = Text.assemble(
        (whole(held), f"bold {WARN}" if amount(held) else "bold"), (f", {whole(bulk)} bulk" if bulk else "", DIM)
    )
    columns = [
        Column("GOODPUT", usual=22),
        Column("", rank=2, usual=4, most=60 if charts else 0),
        Column("req/s", right=True, rank=1),
        Column("in flight", right=True),
        Column("held", right=True, usual=6),
        Column("kept", right=True, usual=7),
        Column("refused", right=True, rank=3),
        Column("since start", right=True, rank=4),
    ]
    row = [
        goodput,
        chart(watched.goodput) if charts else "",
        Text(rate(total(classes, "requests_per_s")), "bold"),
        Text(whole(totals.get("in_flight")), "bold"),
        waiting,
        Text(percent(kept(classes)), "bold"),
        whole(sum(amount(inner(classes, name, "ended").get("refused")) for name in classes)),
        whole(totals.get("offered")),
    ]
    return fixed(grid(columns, [row], width), 95)


def kept(classes: Mapping[str, Any]) -> float | None:
    """The share of jobs that ended as promised, of the classes that promise something; of all, where none does."""
    every = [inner(classes, name) for name in classes]
    promising = [one for one in every if any(number(value) for value in inner(one, "promise").values())]
    ended = [inner(one, "ended") for one in promising or every]
    done = {word: sum(amount(one.get(word)) for one in ended) for word in ("kept", "late", "refused", "failed")}
    return done["kept"] / sum(done.values()) if any(done.values()) else None


def waiting(document: Mapping[str, Any], width: int) -> Section:
    """What is held, and what is kept of answers: a line each."""
    totals, cache = inner(document, "totals"), document.get("cache")
    classes = inner(document, "classes")
    longest = max((amount(inner(classes, name).get("longest_wait_s")) for name in classes), default=0.0)
    facts = [
        f"{whole(totals.get('held'))} held",
        f"{whole(totals.get('backfill'))} bulk",
        f"{whole(total(classes, 'gathering'))} in windows",
        f"longest {seconds(longest) if amount(totals.get('held')) else ABSENT}",
        f"{size(totals.get('bodies_b'))} of bodies",
        f"{whole(totals.get('retries'))} retries",
        f"{whole(totals.get('hedges'))} hedges",
        f"{whole(totals.get('preempted'))} sent back",
        f"{whole(totals.get('client_connections'))} connections",
    ]
    lines = [_facts("waiting", facts, width)]
    if isinstance(cache, Mapping):
        lines.append(_facts("cache", _cache(cache), width))
    else:
        lines.append(_facts("cache", ["no answers are kept"], width))
    if isinstance(document.get("batches"), Mapping):
        lines.append(_facts("batches", _batches(inner(document, "batches")), width))
    return Section(lambda rows: lines[:rows], 1, len(lines), 60)


def _batches(view: Mapping[str, Any]) -> list[str]:
    left = amount(view.get("queued")) + amount(view.get("running"))
    facts = [
        *(["paused: the disk of the store is full"] if view.get("is_paused") else []),
        f"{whole(left)} lines left",
        f"{whole(view.get('running'))} running",
        f"{whole(view.get('done'))} done",
        f"{whole(view.get('failed'))} failed",
        f"{size(view.get('used_b'))} of {size(view.get('size_b'))}",
    ]
    etas = [amount(one.get("eta_s")) for one in view.get("batches") or [] if isinstance(one, Mapping)]
    return [*facts, f"about {seconds(max(etas))} left"] if any(etas) else facts


def _cache(cache: Mapping[str, Any]) -> list[str]:
    facts = [
        f"{whole(cache.get('entries'))} answers",
        f"{size(cache.get('used_b'))} of {size(cache.get('size_b'))}",
        f"{whole(cache.get('stored'))} stored",
        f"{whole(cache.get('evicted'))} evicted",
        f"{whole(cache.get('expired'))} expired",
        f"{whole(cache.get('waiting'))} waited for",
    ]
    remote = inner(cache, "remote")
    return facts + [f"remote {plain(event)} {whole(remote[event])}" for event in list(remote)[:8]]


def config(document: Mapping[str, Any], width: int) -> Section:
    """What is in place, and how the last attempt to change it ended."""
    told = inner(document, "config")
    last, waits = inner(told, "last_attempt"), strings(told.get("restart_needed"))
    digest = plain(told.get("hash"))[:_DIGITS]
    reloads = sum(amount(count) for count in inner(told, "reloads").values())
    facts = [
        plain(told.get("source")) or ("a file" if digest else "no file"),
        *([digest] if digest else []),
        f"read {clock(told.get('loaded_at'), day=True)}",
        f"{whole(reloads)} reloads" if reloads else "never reloaded",
    ]
    if last.get("trigger") not in (None, "start"):
        how = "done" if last.get("successful") else "refused"
        facts.append(f"last by {plain(last.get('trigger'))} at {clock(last.get('at'))}: {how}")
    lines = [_facts("config", facts, width)]
    bad = [] if last.get("successful") is not False else strings(last.get("errors")) or ["no reason was given"]
    wrong = [
        Text(f"{'':9}{'last reload changed nothing: ' if not at else ''}{line}", BAD) for at, line in enumerate(bad)
    ]
    wrong += [Text(f"{'':9}waits for a restart: {line}", WARN) for line in waits]
    for line in wrong:
        line.truncate(width, overflow="ellipsis")
    least = 1 + min(len(wrong), _FEWEST_TROUBLE)
    return Section(lambda rows: cut([*lines, *wrong], rows, _more), least, 1 + len(wrong), 70 if wrong else 50)


def _more(count: int) -> Text:
    return Text(f"{'':9}… and {count} more: tidegate status", DIM)


def _facts(name: str, facts: list[str], width: int) -> Text:
    """As many as fit."""
    line = Text.assemble((f"{name:<9}", "bold"))
    for at, fact in enumerate(facts):
        joint = " · " if at else ""
        if at and line.cell_len + len(joint) + len(fact) > width:
            break
        line.append(joint, DIM).append(fact)
    line.truncate(width, overflow="ellipsis")
    return line


def _wrapped(said: str, width: int, style: str) -> list[Text]:
    """In three lines at most."""
    lines = [""]
    for word in said.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    made = [Text(line, style) for line in lines[:_LINES_OF_TROUBLE]]
    for line in made:
        line.truncate(width)
    return made
