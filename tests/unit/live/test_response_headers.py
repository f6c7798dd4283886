"""What we add to the head of an answer."""

from proxy.live.response_headers import Headers, ResponseHeaders
from proxy.model.timeline import Timeline
from proxy.wire.cors import Cors
from proxy.wire.meter import Meter


def marks(*origins: str) -> ResponseHeaders:
    return ResponseHeaders(lambda tenant, now: None, "goodput", Cors(origins, 60.0), lambda: 5.0, lambda: 0.0)


def added(to: Headers, origin: bytes = b"", *origins: str) -> dict[bytes, bytes]:
    return dict(marks(*origins).added(to, "r-1", origin, None, None, Timeline(1.0)))


def test_what_never_became_a_job_comes_from_here() -> None:
    assert added([(b"x-own", b"1")]) == {
        b"x-own": b"1",
        b"x-request-id": b"r-1",
        b"x-tidegate-route": b"backend=none",
        b"server-timing": b"unattributed;dur=4000, total;dur=4000",
    }


def test_no_timing_where_none_is_wanted() -> None:
    quiet = ResponseHeaders(
        lambda tenant, now: None, "goodput", Cors((), 60.0), lambda: 5.0, lambda: 0.0, tells_timing=False
    )
    assert b"server-timing" not in dict(quiet.added([], "r-1", b"", None, None, Timeline(1.0)))


def test_a_stream_that_begins_tells_what_is_known() -> None:
    line = Timeline(1.0)
    line.understood, line.released = 1.5, 2.0
    told = dict(marks().added([], "r-1", b"", None, None, line, flows=Meter()))
    assert told[b"server-timing"] == b"queue;dur=500"


def test_pages_of_permitted_origins_may_read_it() -> None:
    assert b"access-control-allow-origin" in added([], b"https://a.example", "https://a.example")
    assert b"access-control-allow-origin" not in added([], b"https://b.example", "https://a.example")
