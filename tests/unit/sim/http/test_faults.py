"""Headers to faults, and the spelling of events."""

import base64

import pytest

from proxy.sim.http.bad_sse import spell
from proxy.sim.http.faults import BackendFaults, BadSse, Faults, read_defaults, read_faults
from proxy.sim.http.refusal import Refusal


def test_no_headers_no_faults() -> None:
    assert read_faults({"content-type": "x", "x-request-id": "y"}, {}) == Faults()


def test_headers_win_over_defaults() -> None:
    faults = read_faults({"X-Sim-Status": "503"}, {"x-sim-status": "500", "x-sim-delay-ms": "5"})
    assert (faults.status, faults.delay_ms) == (503, 5.0)


def test_every_fault_is_read() -> None:
    text = base64.b64encode("é".encode()).decode()
    headers = {
        "x-sim-delay-ms": "1.5",
        "x-sim-stall-after": "0",
        "x-sim-reset-after": "1",
        "x-sim-cut-after": "2",
        "x-sim-status": "500",
        "x-sim-retry-after": "3",
        "x-sim-error-event-after": "4",
        "x-sim-bad-sse": "crlf",
        "x-sim-tokens-per-event": "5",
        "x-sim-linger-after-done": "1",
        "x-sim-bytes-per-write": "6",
        "x-sim-text": text,
    }
    assert read_faults(headers, {}) == Faults(1.5, 0, 1, 2, 500, "3", 4, BadSse.CRLF, 5, True, 6, "é")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-sim-typo", "1"),
        ("x-sim-stall-after", "-1"),
        ("x-sim-status", "99"),
        ("x-sim-tokens-per-event", "0"),
        ("x-sim-bad-sse", "worse"),
        ("x-sim-text", "not base64!"),
        ("x-sim-text", base64.b64encode(b"\xff").decode()),
    ],
)
def test_nonsense_is_refused(name: str, value: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_faults({name: value}, {})
    assert refused.value.status == 400
    assert name in refused.value.body["error"]["message"]


def test_defaults_of_the_backend() -> None:
    assert read_defaults({"health": 503, "refuse": True, "x-sim-status": 500}) == (
        {"x-sim-status": "500"},
        BackendFaults(503, 200, True),
    )
    with pytest.raises(Refusal):
        read_defaults({"heath": 503})


@pytest.mark.parametrize("kind", [None, *BadSse])
def test_an_event_is_always_whole_blocks(kind: BadSse | None) -> None:
    block = b"".join(spell('{"a": "é🌊"}'.encode(), "named", kind, 3))
    end = {BadSse.CRLF: b"\r\n\r\n", BadSse.CR: b"\r\r"}.get(kind, b"\n\n") if kind else b"\n\n"
    assert block.endswith(end)
    assert b"event: named" in block


def test_splitting_cuts_inside_every_wide_character() -> None:
    pieces = spell("é🌊x".encode(), None, BadSse.SPLIT_UTF8, 0)
    assert len(pieces) == 3
    for piece in pieces[:-1]:
        with pytest.raises(UnicodeDecodeError):
            piece.decode()
