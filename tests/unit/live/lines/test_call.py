"""What stands in for a client, and what an ending means for a line."""

import pytest

from proxy.live.lines.call import Ending, ending, message_of
from proxy.model.batch import Batch, BatchLine, Owner
from proxy.model.faults import Fault, Kind, downstream, internal, upstream
from proxy.model.outcome import SERVED, Phase, failed_with
from proxy.wire import identity

LINE = BatchLine(b"", 1, 0, 1, "c")


def batch_of(owner: Owner) -> Batch:
    return Batch(number=1, id="b", owner=owner, endpoint="/v1/x", input_file="f", window="1h", created=0, expires=1)


@pytest.mark.parametrize(
    ("fault", "status", "means"),
    [
        (None, 200, Ending.ANSWERED),
        (None, 0, Ending.FAILED),
        (downstream(Kind.INVALID, ""), 400, Ending.ANSWERED),
        (downstream(Kind.MODEL_NOT_FOUND, ""), 404, Ending.ANSWERED),
        (downstream(Kind.LEFT, ""), 0, Ending.AGAIN),
        (internal(Kind.DRAINING, ""), 503, Ending.AGAIN),
        (internal(Kind.QUOTA, ""), 429, Ending.AGAIN),
        (internal(Kind.NO_BACKEND, ""), 503, Ending.AGAIN),
        (internal(Kind.HOLD_TIMEOUT, ""), 503, Ending.AGAIN),
        (internal(Kind.BUG, ""), 500, Ending.FAILED),
        (upstream(Kind.BUSY, ""), 503, Ending.AGAIN),
        (upstream(Kind.CONNECT, ""), 502, Ending.AGAIN),
        (upstream(Kind.RESET, ""), 502, Ending.FAILED),
        (upstream(Kind.CUT, ""), 200, Ending.FAILED),
        (upstream(Kind.ERROR_STATUS, ""), 500, Ending.FAILED),
    ],
)
def test_what_an_ending_means(fault: Fault | None, status: int, means: Ending) -> None:
    outcome = SERVED if fault is None else failed_with(fault, Phase.HEAD)
    assert ending(outcome, status, is_cut=False) is means


def test_an_answer_that_broke_off_is_none() -> None:
    assert ending(SERVED, 200, is_cut=True) is Ending.FAILED


def test_a_line_is_its_owners_and_whose_key_is_not_known_keeps_no_answers() -> None:
    for owner, keeps in ((Owner(b"d", "team", True), True), (Owner(b""), True), (Owner(b"d", "0123abcd"), False)):
        head = message_of(batch_of(owner), LINE, "r", b"{}", 5.0, 4.0).head
        assert head is not None
        assert identity.tenant(head) == owner.tenant
        assert (head.due, head.traffic_class, head.request_id) == (5.0, "bulk", "r")
        assert (b"cache-control" not in head.fields) == keeps
        assert head.forward == [(b"content-type", b"application/json")]
