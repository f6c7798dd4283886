"""What of a request is the store's, and what its fields may say; the rest over sockets: test_batches_live."""

import pytest

from proxy.live.batches import api
from proxy.model.faults import FaultError
from tests.support.heads import head


@pytest.mark.parametrize(("value", "found"), [("24h", ("24h", 86400)), ("30m", ("30m", 1800)), ("7d", ("7d", 604800))])
def test_windows(value: str, found: tuple[str, int]) -> None:
    assert api._window(value) == found


@pytest.mark.parametrize("value", [None, "", "0h", "24", "31d", "1h1m", 24])
def test_what_is_no_window(value: object) -> None:
    with pytest.raises(FaultError):
        api._window(value)


def test_metadata() -> None:
    assert api._metadata(None) is None
    assert api._metadata({"a": "b"}) == {"a": "b"}
    for wrong in ([], {"a": 1}, {"x" * 65: "a"}, {"a": "x" * 513}, {str(n): "" for n in range(17)}):
        with pytest.raises(FaultError):
            api._metadata(wrong)


def test_output_files_that_expire() -> None:
    assert api._expires_after(None) is None
    assert api._expires_after({"anchor": "created_at", "seconds": 3600}) == 3600
    for wrong in (5, {"seconds": 3600}, {"anchor": "created_at", "seconds": 5}, {"anchor": "created_at"}):
        with pytest.raises(FaultError):
            api._expires_after(wrong)


def test_uploads_are_taken_as_they_come_and_nothing_else_is() -> None:
    assert api.is_upload(head(target="/v1/files"))
    assert not api.is_upload(head(method="GET", target="/v1/files"))
    assert not api.is_upload(head(target="/v1/batches"))
