"""Service level objectives that cannot be met, cannot be missed, or speak of nothing.

Owns the comparison with the classes, models and each other; what a bad request is says `obs.slo.events`.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePath

from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.config.options import OptionPath
from proxy.config.refusal import quoted, which_there_are
from proxy.model.classes import ClassSettings, Promise
from proxy.model.slos import MAX_WINDOW_S, MEASURES, MIN_WINDOW_S, ServiceLevelObjective
from proxy.model.tenants import OTHERS
from proxy.model.units import format_duration

_LEAST_BUDGET = 1e-6
_AUTO, _OFF = "auto", "off"


def slo_findings(
    slos: Sequence[ServiceLevelObjective],
    classes: Sequence[ClassSettings],
    known: frozenset[str] | None,
    served: set[str] | None,
) -> Iterator[Finding]:
    """What is wrong with them; `known`: every class there is, `served`: every model, None: not known."""
    first: dict[str, int] = {}
    promises = {entry.name: entry.slo.promise() for entry in classes}
    for index, slo in enumerate(slos):
        path: OptionPath = ("slos", index)
        other = first.setdefault(slo.name, index)
        if other != index:
            yield Finding((*path, "name"), f"{quoted(slo.name)} is the name of slos[{other}] too", "each has its own")
        if known is not None and slo.class_ not in known:
            hint = which_there_are(slo.class_, known)
            yield Finding((*path, "class"), f"there is no class {quoted(slo.class_)}", hint)
        yield from _of_whom(path, slo, served)
        yield from _objective((*path, "objective"), slo.objective)
        yield from _window((*path, "window"), slo.window)
        yield from _thresholds(path, slo, promises.get(slo.class_))


def file_of(slo_state: str, state: str) -> str | None:
    """Where the counts outlive a restart; None: nowhere. `auto`: beside the file of `state`."""
    if slo_state != _AUTO:
        return None if slo_state == _OFF else slo_state
    if state == _OFF:
        return None
    beside = PurePath(state)
    return str(beside.parent / f"{beside.stem}.slo.sqlite")


def _of_whom(path: OptionPath, slo: ServiceLevelObjective, served: set[str] | None) -> Iterator[Finding]:
    if slo.tenant == OTHERS:
        yield Finding((*path, "tenant"), "must name one tenant", "leave it out: then it speaks of everybody")
    if slo.model is not None and served is not None and slo.model not in served:
        hint = which_there_are(slo.model, served)
        yield Finding((*path, "model"), f"no backend serves {quoted(slo.model)}", hint, Severity.WARNING)


def _objective(path: OptionPath, share: float) -> Iterator[Finding]:
    if not share > 0:
        yield Finding(path, "must be above 0%: else nothing could miss it", "99.5% is usual")
    elif share == 1:
        message = "must be below 100%: there would be no error budget, and one bad request would miss it for good"
        yield Finding(path, message, "write 99.9%")
    elif share > 1:
        yield Finding(
            path, "must be a share below 100%", f"write {share:g}%" if 50 <= share < 100 else "99.5% is usual"
        )
    elif 1 - share < _LEAST_BUDGET * 0.999:
        yield Finding(path, "must be at most 99.9999%: nobody counts enough requests for more", "99.9% is usual")
    elif share < 0.5:
        message = f"means that more than half may be bad ({share:.4g} good)"
        yield Finding(path, message, "99.5% is usual", Severity.WARNING)


def _window(path: OptionPath, window_s: float) -> Iterator[Finding]:
    if window_s < MIN_WINDOW_S:
        message = "must be at least 1h: the fastest alert looks at an hour"
        yield Finding(path, message, "30d is usual")
    elif window_s > MAX_WINDOW_S:
        yield Finding(path, "must be at most 92d, a quarter", "30d is usual")


def _thresholds(path: OptionPath, slo: ServiceLevelObjective, promise: Promise | None) -> Iterator[Finding]:
    for name in MEASURES:
        if getattr(slo, name) == 0:
            yield Finding((*path, name), "must be above 0: every request would be bad", "leave it out for no threshold")
    promised = None if promise is None else promise.ttft_s
    if slo.ttft and promised and slo.ttft < promised:
        message = f"is sooner than its class promises and is scheduled for ({format_duration(promised)})"
        yield Finding((*path, "ttft"), message, "give the class the same slo.ttft, or none here", Severity.WARNING)
