"""Charts of blocks, and what stands for them in ASCII."""

from proxy.report.screen.drawn import bar, chart, in_ascii, spark
from proxy.report.screen.watched import Ring


def test_a_spark_is_as_high_as_its_values_and_red_above_the_promise() -> None:
    drawn = spark([0.0, 1.0, None, 2.0], promised=1.5)
    assert drawn.plain == "▁▄ ▇"
    assert [span.style for span in drawn.spans] == ["cyan", "cyan", "red"]
    assert spark([0.0, 0.0]).plain == "▁▁"
    assert spark([]).plain == ""


def test_a_chart_fills_its_column_and_the_newest_is_at_the_right() -> None:
    ring = Ring()
    ring.add(3.0)
    assert chart(ring)(4).plain == "   ▇"
    assert chart(None)(3).plain == "   "


def test_a_bar_knows_its_bounds() -> None:
    assert [bar(share)(4).plain for share in (None, -1.0, 0.0, 0.5, 1.0, 7.0)] == [
        "    ", "────", "────", "━━──", "━━━━", "━━━━",
    ]  # fmt: skip


def test_in_ascii_nothing_moves() -> None:
    text = "▁▂▃▄▅▆▇━─·…≤ kept \N{EN DASH} 2\N{MULTIPLICATION SIGN}"
    assert in_ascii(text).isascii()
    assert len(in_ascii(text)) == len(text)
