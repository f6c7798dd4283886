"""Classes and budgets."""

from proxy.report.screen.lanes import budgets, lanes
from proxy.report.screen.watched import Watched
from tests.unit.report.screen.documents import budget, lane, status


def shown(width: int, rows: int | None = None, **classes: object) -> list[str]:
    watched = Watched()
    watched.take("status", status(**({"classes": classes} if classes else {})))
    section = lanes(watched, width, charts=True)
    return [line.plain for line in section.lines(section.wanted if rows is None else rows)]


def test_a_lane_has_what_was_promised_and_what_became_of_it() -> None:
    _, first, second, _, other = shown(120)
    assert first.split()[:9] == ["interactive", "TTFT", "≤200", "ms", "41", "ms", "252", "ms", "362"]
    assert first.split()[-4:] == ["5", "61/122", "74.1", "%"]
    assert second.split()[:7] == ["TPOT", "≤50", "ms", "20", "ms", "21", "ms"]
    assert second.split()[-6:] == ["2", "held", "2.5", "req/s", "7", "not"]
    assert other.startswith("gives way")


def test_what_is_later_than_promised_is_red() -> None:
    watched = Watched()
    watched.take("status", status())
    line = lanes(watched, 120, charts=True).lines(5)[1]
    red = {line.plain[span.start : span.end] for span in line.spans if span.style == "bold red"}
    assert {"252 ms", "362 ms"} <= red
    assert "41 ms" not in red


def test_without_room_it_is_a_line_each_and_the_rest_is_counted() -> None:
    classes = {f"class-{at}": lane() for at in range(9)}
    lines = shown(80, 5, **classes)
    assert len(lines) == 5
    assert lines[-1] == "… and 6 more classes"
    assert "TTFT p95" in lines[0]


def test_a_class_without_traffic_is_one_line() -> None:
    idle = lane(in_flight=0, held=0, ttft_s={}, tpot_s={}, e2e_s={}, ended={}, attainment=None)
    lines = shown(120, quiet=idle)
    assert len(lines) == 2
    assert lines[1].split()[:4] == ["quiet", "TTFT", "≤200", "ms"]
    assert "idle" in lines[1]


def test_budgets() -> None:
    document = status(slos={"chat": budget(), "calm": budget(exhausted_in_s=None, alert=None, error_budget_left=1)})
    (section,) = budgets(document, 100)
    chat, calm = (line.plain for line in section.lines(9)[1:])
    assert chat.split() == ["chat", "99.5", "%", "99.3", "%", "8.1", "%", *chat.split()[7:8], "1.4", "2.0", "h", "page"]
    assert "never" in calm
    assert "100 %" in calm
    assert budgets(status(slos={}), 100) == []
