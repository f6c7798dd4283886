"""What is written, against the library's own writers and parsers."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_open
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open
from prometheus_client.parser import text_string_to_metric_families as read_text
from prometheus_client.registry import Collector

from proxy.model.histogram import Histogram, with_bounds
from proxy.obs.exposition import Writer
from proxy.obs.families import Family, Histograms, counter, counters, gauges

NUMBERS = st.one_of(st.floats(), st.integers(-(10**18), 10**18).map(float))
SERIES = st.lists(st.tuples(st.tuples(st.text(), st.text()), NUMBERS), unique_by=lambda one: one[0], max_size=9)


class Given(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


def registry(families: list[Metric]) -> CollectorRegistry:
    made = CollectorRegistry(auto_describe=False)
    made.register(Given(families))
    return made


def text(families: list[Family], *, is_open: bool) -> str:
    return "".join(Writer().pieces(families, is_open=is_open))


@given(SERIES, st.text(max_size=20))
def test_word_for_word_as_the_library_writes(series: list[tuple[tuple[str, str], float]], about: str) -> None:
    families = [
        gauges("a_gauge", about, ("x", "y"), series),
        counters("a_counter", "What\\it\nis.", ("x", "y"), series),
        counter("bare", "No labels.", 3),
    ]
    assert text([*families], is_open=False) == generate_latest(registry(families)).decode()
    assert text([*families], is_open=True) == generate_open(registry(families)).decode()


@pytest.mark.parametrize("is_open", [False, True])
def test_a_histogram_is_read_as_one_of_the_library_is(is_open: bool) -> None:
    histogram = Histogram(with_bounds(0.25, 0.0123, None, 90))
    for value_s in (0.0001, 0.2, 0.25, 0.26, 61.0, 1e4):
        histogram.observe(value_s, 2)
    key = ('a"b\\c', "100 %d\n{}", "\x01")
    theirs = HistogramMetricFamily("a_seconds", "About.", labels=("x", "y", "z"))
    theirs.add_metric(key, histogram.buckets(), histogram.sum)
    read = read_open if is_open else read_text
    written = text([Histograms("a_seconds", "About.", ("x", "y", "z"), [(key, histogram)])], is_open=is_open)
    (mine,) = read(written)
    assert mine == theirs
    assert {"0.25", "0.0123", "90.0"} <= {sample.labels["le"] for sample in mine.samples if "le" in sample.labels}


def test_a_histogram_without_labels() -> None:
    histogram = Histogram()
    histogram.observe(0.3)
    (family,) = read_open(text([Histograms("a_seconds", "About.", (), [((), histogram)])], is_open=True))
    assert {sample.value for sample in family.samples if sample.name == "a_seconds_count"} == {1}


def test_what_counted_nothing_has_no_series() -> None:
    written = text([Histograms("a_seconds", "About.", ("x",), [(("v",), Histogram())])], is_open=True)
    assert written == "# HELP a_seconds About.\n# TYPE a_seconds histogram\n# EOF\n"


def test_pieces_are_small() -> None:
    many = gauges("a", "About.", ("x",), [((f"{number:09}",), 1.0) for number in range(5000)])
    assert max(piece.count("\n") for piece in Writer().pieces([many], is_open=False)) <= 102


def test_a_histogram_that_grew_is_written_anew_and_one_that_did_not_as_it_was() -> None:
    writer, one, other = Writer(), Histogram(), Histogram()
    family = Histograms("a_seconds", "About.", ("x",), [(("one",), one), (("other",), other)])
    for times in range(1, 4):
        one.observe(0.0)
        text = "".join(writer.pieces([family], is_open=True))
        (read,) = read_open(text)
        assert text == "".join(Writer().pieces([family], is_open=True))
        assert {sample.value for sample in read.samples if sample.name == "a_seconds_count"} == {times}
    other.observe(5.0)
    assert "".join(writer.pieces([family], is_open=False)).count("_sum") == 2


def test_another_histogram_of_the_same_labels_is_another_one() -> None:
    writer, one, other = Writer(), Histogram(), Histogram()
    one.observe(1.0)
    other.observe(2.0)
    texts = ["".join(writer.pieces([Histograms("a", "A.", (), [((), of)])], is_open=True)) for of in (one, other)]
    assert "a_sum 1.0" in texts[0]
    assert "a_sum 2.0" in texts[1]


def test_exemplars_are_read_by_the_library_and_stand_in_openmetrics_alone() -> None:
    histogram = Histogram((0.1, 1.0))
    for value_s, trace_id in ((0.1, "a" * 32), (0.5, "b" * 32), (0.7, "c" * 32), (9.0, "d" * 32)):
        histogram.observe(value_s)
        histogram.exemplify(value_s, trace_id)
    families: list[Family] = [Histograms("a_seconds", "About.", ("x",), [(("1",), histogram)])]
    (family,) = read_open(text(families, is_open=True))
    found = {
        sample.labels["le"]: (sample.exemplar.labels, sample.exemplar.value)
        for sample in family.samples
        if sample.exemplar is not None
    }
    assert found == {
        "0.1": ({"trace_id": "a" * 32}, 0.1),
        "1.0": ({"trace_id": "c" * 32}, 0.7),
        "+Inf": ({"trace_id": "d" * 32}, 9.0),
    }
    assert "trace_id" not in text(families, is_open=False)
    (plain,) = read_text(text(families, is_open=False))
    assert [sample.value for sample in plain.samples] == [sample.value for sample in family.samples]
