"""Bodies in which an engine could read another model than is read here."""

import pytest

from proxy.model.faults import FaultError, Kind
from proxy.wire.one_model import check


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({"model": "m", "messages": [{"Model": "x"}]}, b'{"model":"m"}'),
        ({}, b""),
        ({}, b"{}"),
        ({}, b"--x\r\n"),
        ({}, bytes(100)),
    ],
)
def test_what_is_clear_passes(fields: dict[str, object], body: bytes) -> None:
    check(fields, body)


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({"model": "m", "Model": "hidden"}, b""),
        ({"MODEL": "hidden"}, b""),
        ({}, b' {"model":"hidden"}'),
    ],
)
def test_what_is_not_is_refused(fields: dict[str, object], body: bytes) -> None:
    with pytest.raises(FaultError) as caught:
        check(fields, body)
    assert (caught.value.fault.kind, caught.value.fault.param) == (Kind.INVALID, "model")
    assert "hidden" not in caught.value.fault.message
