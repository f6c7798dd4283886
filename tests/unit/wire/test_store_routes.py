"""Which requests are the store's."""

import pytest

from proxy.model.faults import FaultError
from proxy.wire.store_routes import Does, StoreRoute, checked_name, find, page


@pytest.mark.parametrize(
    ("method", "target", "found"),
    [
        ("POST", b"/v1/files", StoreRoute(Does.UPLOAD)),
        ("POST", b"/files/", StoreRoute(Does.UPLOAD)),
        ("GET", b"/v1/files?limit=3", StoreRoute(Does.LIST_FILES, "", "limit=3")),
        ("GET", b"/v1/files/a/content", StoreRoute(Does.CONTENT, "a")),
        ("DELETE", b"/v1/files/a", StoreRoute(Does.DELETE, "a")),
        ("POST", b"/v1/batches/b/cancel", StoreRoute(Does.CANCEL, "b")),
        ("DELETE", b"/v1/batches/b", StoreRoute(None, "b")),
        ("POST", b"/v1/messages/batches", None),
        ("GET", b"/v1/files/a/b/c", None),
        ("GET", b"/v1/files/a/other", None),
        ("POST", b"/v1/chat/completions", None),
        ("GET", b"/", None),
    ],
)
def test_what_is_asked(method: str, target: bytes, found: StoreRoute | None) -> None:
    assert find(method, target) == found


def test_a_page_of_a_list() -> None:
    assert page("", 20, 100) == ("", 20, "", True)
    assert page("after=a&limit=7&order=asc&purpose=batch", 20, 100) == ("a", 7, "batch", False)
    for wrong in ("limit=0", "limit=101", "limit=x", "limit=-1", "order=up"):
        with pytest.raises(FaultError):
            page(wrong, 20, 100)


def test_an_id_in_a_body() -> None:
    assert checked_name("file-1", "input_file_id") == "file-1"
    for wrong in (None, 5, "", "x" * 200):
        with pytest.raises(FaultError):
            checked_name(wrong, "input_file_id")
