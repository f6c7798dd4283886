"""Objectives as metrics: true to the book, there from the start, none without objectives."""

from math import inf

from proxy.model.faults import Kind, upstream
from proxy.model.outcome import Phase, failed_with
from proxy.model.slos import ServiceLevelObjective
from proxy.obs.exposition import Writer
from proxy.obs.slo.book import SloBook
from proxy.obs.slo_metrics import slo_families
from tests.support.prometheus import needs_promtool, promtool
from tests.unit.obs.records import record

SLOS = [
    ServiceLevelObjective(name="chat", class_="interactive", objective=0.99),
    ServiceLevelObjective(name="bulk", class_="bulk", objective=0.9),
]


def told(book: SloBook) -> dict[tuple[str, ...], float]:
    found = {}
    for family in slo_families(book.status(1e9)):
        for sample in family.samples:
            found[sample.name, *sample.labels.values()] = sample.value
    return found


def test_none_without_objectives() -> None:
    assert list(slo_families(SloBook([]).status(1e9))) == []


def test_counters_are_there_before_the_first_request() -> None:
    """A rate needs the zero before the first one."""
    samples = told(SloBook(SLOS))
    assert samples["tidegate_slo_events_total", "chat"] == 0
    assert samples["tidegate_slo_good_events_total", "chat"] == 0
    assert samples["tidegate_slo_bad_events_total", "bulk", "refused"] == 0
    assert samples["tidegate_slo_error_budget_left_ratio", "bulk"] == 1
    assert samples["tidegate_slo_exhausted_in_seconds", "bulk"] == inf
    assert ("tidegate_slo_attainment_ratio", "chat") not in samples


def test_they_say_what_the_book_says() -> None:
    book = SloBook(SLOS)
    for number in range(100):
        outcome = failed_with(upstream(Kind.RESET, "x"), Phase.HEAD) if number < 2 else record().outcome
        book.count(record(outcome=outcome), 1e9)
    samples = told(book)
    assert samples["tidegate_slo_events_total", "chat"] == 100
    assert samples["tidegate_slo_good_events_total", "chat"] == 98
    assert samples["tidegate_slo_bad_events_total", "chat", "failed"] == 2
    assert samples["tidegate_slo_objective_ratio", "chat"] == 0.99
    assert samples["tidegate_slo_attainment_ratio", "chat"] == 0.98
    assert abs(samples["tidegate_slo_error_budget_left_ratio", "chat"] + 1) < 1e-9
    assert abs(samples["tidegate_slo_burn_rate", "chat", "5m"] - 2) < 1e-9
    assert samples["tidegate_slo_exhausted_in_seconds", "chat"] == 0
    assert samples["tidegate_slo_events_total", "bulk"] == 0


@needs_promtool
def test_promtool_finds_nothing_to_say_of_them() -> None:
    book = SloBook(SLOS)
    book.count(record(), 1e9)
    text = "".join(Writer().pieces(slo_families(book.status(1e9)), is_open=False))
    said = promtool("check", "metrics", stdin=text)
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
    assert 'tidegate_slo_exhausted_in_seconds{slo="bulk"} +Inf' in text
