"""The status: its shape, and that its numbers are those of the metrics."""

import random
from typing import Any

import orjson
import pytest

from proxy.core.scheduler import Scheduler
from proxy.model.backend import BackendSpec
from proxy.model.classes import Promise
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.request import Job
from proxy.obs.config_metrics import ConfigState
from proxy.obs.metrics import Metrics
from proxy.obs.process_metrics import Gauges
from proxy.obs.recent import Recent
from proxy.obs.status import SCHEMA, Facts, Sources, Status
from tests.support.proxy_process import Metrics as Exposition
from tests.unit.obs.records import record, timeline

CLASSES = {"interactive": {"bulk": False, "promise": {"ttft_s": 0.2}}, "bulk": {"bulk": True}}


class Bed:
    """A scheduler with one backend, what was counted, and a clock."""

    def __init__(self) -> None:
        self.now = 103.5
        self.scheduler = Scheduler(
            [BackendSpec("a", models=frozenset({"m"}), max_concurrency=1)],
            retries=RetrySettings(),
            hold=HoldSettings(),
            health=HealthSettings(),
            rng=random.Random(1),
        )
        gauges = Gauges(3, 0, {}, {})
        self.metrics = Metrics(self.scheduler, lambda: gauges, lambda: self.now)
        self.recent = Recent()
        facts = Facts("1", "pure", "i", "http://x", "goodput", 1.0, CLASSES, playground=True)
        self.status = Status(
            lambda: facts,
            Sources(
                scheduler=self.scheduler,
                goodput=self.metrics.goodput,
                percentiles=self.metrics.percentiles,
                recent=self.recent,
                config_state=ConfigState("file", "h", 1.0),
                gauges=lambda: gauges,
                slos=lambda: {"fast": {"left": 0.5}},
                why_not_ready=lambda: None,
                monotonic=lambda: self.now,
                wall=lambda: 9000.0,
            ),
        )

    def count(self, **fields: Any) -> None:
        one = record(job=Job(1, "m"), **fields)
        self.metrics.count(one)
        self.recent.add(one)


def test_the_shape_before_anything_happened() -> None:
    shown = Bed().status.now()
    assert orjson.loads(orjson.dumps(shown)) == shown
    assert shown["schema"] == SCHEMA
    assert list(shown["classes"]) == ["interactive", "bulk"]
    assert shown["classes"]["interactive"]["promise"] == {"ttft_s": 0.2}
    assert "ttft_s" not in shown["classes"]["interactive"]
    assert shown["backends"]["a"]["state"] == "healthy"
    assert shown["backends"]["a"]["order"] == 0
    assert shown["cache"] is None
    assert shown["config"]["hash"] == "h"
    assert shown["slos"] == {"fast": {"left": 0.5}}
    assert shown["decisions_seq"] == 0


def test_what_is_open() -> None:
    bed = Bed()
    for number in (1, 2):
        bed.scheduler.submit(Job(number, "m", traffic_class="other"), bed.now)
    bed.now += 1.0
    shown = bed.status.now()
    lane = shown["classes"]["other"]
    assert (lane["in_flight"], lane["held"], lane["longest_wait_s"]) == (1, 1, 1.0)
    assert (shown["totals"]["in_flight"], shown["totals"]["held"]) == (1, 1)
    assert shown["backends"]["a"]["in_flight"] == 1


async def test_its_numbers_are_those_of_the_metrics() -> None:
    bed = Bed()
    bed.count(promise=Promise(ttft_s=1.0))
    bed.count(promise=Promise(ttft_s=0.1))
    bed.count(traffic_class="bulk", timeline=timeline(done=102.5))
    text = Exposition("".join(bed.metrics.pieces(is_open=False)))
    for name, lane in bed.status.now()["classes"].items():
        assert lane["throughput_tokens"] == text.total("tidegate_throughput_tokens_total", **{"class": name})
        assert lane["goodput_tokens"] == text.total("tidegate_goodput_tokens_total", **{"class": name})
        assert lane["attainment"] == text.total("tidegate_slo_attainment", **{"class": name})
        for result, count in lane["ended"].items():
            assert count == text.total("tidegate_slo_requests_total", result=result, **{"class": name})
        assert lane["ttft_s"]["samples"] == text.total("tidegate_ttft_seconds_count", **{"class": name})
    backend = bed.status.now()["backends"]["a"]
    assert backend["learned_tpot_s"] == text.total("tidegate_backend_learned_tpot_seconds", backend="a")


def test_rates_and_the_past() -> None:
    bed = Bed()
    bed.count()
    lane = bed.status.now()["classes"]["interactive"]
    assert (lane["requests_per_s"], lane["tokens_per_s"], lane["good_tokens_per_s"]) == (0.1, 0.8, 0.8)
    bed.now = 104.0
    past = bed.status.past()["interactive"]
    assert past["step_s"] == 2
    assert past["tokens_per_s"][-1] == pytest.approx(4.0)
    assert len(past["tokens_per_s"]) == len(past["requests_per_s"])


def test_decisions_newest_first() -> None:
    bed = Bed()
    bed.count(id="one")
    bed.count(id="two", attempts=2)
    told = bed.status.decisions(0, 10)
    assert [one["id"] for one in told["decisions"]] == ["two", "one"]
    assert [one["id"] for one in told["notable"]] == ["two"]
    assert bed.status.decisions(1, 10)["decisions"][0]["ended_at"] == 9000.0 - 1.5
    assert bed.status.decisions(2, 10) == {"decisions": [], "notable": []}
