"""Families of metrics as text, piece by piece: Prometheus' format 0.0.4 and OpenMetrics 1.0.

The families are the library's, and so is every word of what is written (a test compares the two); its own writer makes
all of it at once, which takes a second for a large fleet. A piece takes well below a millisecond, so that whoever
writes it down can let streams through between two of them. Histograms, nine tenths of the text, are made of templates.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from proxy.model.histogram import Histogram
from proxy.obs.families import Family, Histograms
from proxy.obs.numbers import Numbers

TEXT: Final = b"text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS: Final = b"application/openmetrics-text; version=1.0.0; charset=utf-8"
_number: Final[Callable[[float], str]] = floatToGoString
_LINES: Final = 100
"""Samples in one piece."""
_LABELS: Final = "\0"
"""Where they go in a template."""


class _Written:
    """The series of one histogram, as they were written last."""

    __slots__ = ("histogram", "seen", "text")

    def __init__(self, histogram: Histogram, seen: int, text: str) -> None:
        self.histogram = histogram
        self.seen = seen
        self.text = text


class Writer:
    """Remembers histograms as it has written them: of a large fleet few change from one scrape to the next."""

    def __init__(self) -> None:
        self._written: dict[str, dict[tuple[str, ...], _Written]] = {}
        """By family and labels, which are closed sets: 3 KB each."""

    def pieces(self, families: Iterable[Family], *, is_open: bool) -> Iterator[str]:
        """All of it, in order. `is_open`: as OpenMetrics wants it."""
        for family in families:
            if isinstance(family, Histograms):
                yield _head(family.name, "histogram", family.documentation, is_open)
                yield from self._histograms(family, is_open)
            elif isinstance(family, Numbers):
                yield from _numbers(family, is_open)
            else:
                yield from _metric(family, is_open)
        if is_open:
            yield "# EOF\n"

    def _histograms(self, family: Histograms, is_open: bool) -> Iterator[str]:
        templates: dict[tuple[float, ...], str] = {}
        before, written = self._written.get(family.name, {}), dict[tuple[str, ...], _Written]()
        for key, histogram in family.rows:
            seen = histogram.seen()
            if not seen:  # no series
                continue
            one = before.get(key)
            if one is None or one.seen != seen or one.histogram is not histogram:
                template = templates.get(histogram.bounds)
                if template is None:
                    template = templates[histogram.bounds] = _template(family, histogram)
                labels = _labelled(zip(family.labels, key, strict=True))
                one = _Written(histogram, seen, _filled(template, histogram).replace(_LABELS, labels))
            written[key] = one
            yield _exemplified(one.text, histogram.exemplars) if is_open and histogram.exemplars else one.text
        self._written[family.name] = written


def _metric(family: Metric, is_open: bool) -> Iterator[str]:
    name = f"{family.name}_total" if family.type == "counter" and not is_open else family.name
    lines = [_head(name, family.type, family.documentation, is_open)]
    for sample in family.samples:
        lines.append(_line(sample))
        if len(lines) > _LINES:
            yield "".join(lines)
            lines = []
    yield "".join(lines)


def _numbers(family: Numbers, is_open: bool) -> Iterator[str]:
    name = family.sample_name
    lines = [_head(family.name if is_open else name, family.type, family.documentation, is_open)]
    order = sorted(range(len(family.labels)), key=family.labels.__getitem__)
    named = ",".join([f'{family.labels[place]}="%s"' for place in order])
    template = f"{name}{{{named}}} %s\n" if order else f"{name} %s\n"
    for key, value in family.rows:
        lines.append(template % (*[_quoted(key[place]) for place in order], _told(value)))
        if len(lines) > _LINES:
            yield "".join(lines)
            lines = []
    yield "".join(lines)


def _told(value: float) -> str:
    """As the library writes numbers; those that it writes as Python does without asking it."""
    number = float(value)
    return repr(number) if -1e5 < number < 1e5 else _number(number)


def _template(family: Histograms, histogram: Histogram) -> str:
    name, bounds = family.name, [*map(_number, histogram.bounds), "+Inf"]
    before, alone = (f"{_LABELS},", f"{{{_LABELS}}}") if family.labels else ("", "")
    lines = [f'{name}_bucket{{{before}le="{bound}"}} %d\n' for bound in bounds]
    return "".join([*lines, f"{name}_count{alone} %d\n", f"{name}_sum{alone} %s\n"])


def _filled(template: str, histogram: Histogram) -> str:
    counts = histogram.cumulative()
    return template % (*counts, counts[-1], _number(histogram.sum))


def _exemplified(text: str, exemplars: Mapping[int, tuple[float, str]]) -> str:
    """With the traces of some values: OpenMetrics alone has them. The lines of buckets come first, in their order."""
    lines = text.split("\n")
    for bucket, (value_s, trace_id) in exemplars.items():
        lines[bucket] += f' # {{trace_id="{trace_id}"}} {_number(value_s)}'
    return "\n".join(lines)


def _head(name: str, kind: str, text: str, is_open: bool) -> str:
    return f"# HELP {name} {_quoted(text) if is_open else _escaped(text)}\n# TYPE {name} {kind}\n"


def _line(sample: Sample) -> str:
    labels = f"{{{_labelled(sorted(sample.labels.items()))}}}" if sample.labels else ""
    return f"{sample.name}{labels} {_number(sample.value)}\n"


def _labelled(labels: Iterable[tuple[str, str]]) -> str:
    return ",".join([f'{name}="{_quoted(value)}"' for name, value in labels])


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(value: str) -> str:
    return _escaped(value).replace('"', '\\"') if "\\" in value or '"' in value or "\n" in value else value
