"""When an answer says that its sender wants to be asked again."""

import pytest

from proxy.wire.retry_after import retry_after_s

DATE = (b"Date", b"Wed, 21 Oct 2026 07:28:00 GMT")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([(b"Retry-After", b"7")], 7.0),
        ([(b"retry-after", b" 2.5 ")], 2.5),
        ([(b"retry-after-ms", b"900")], 0.9),
        ([(b"Retry-After", b"7"), (b"Retry-After-Ms", b"250.5")], 0.2505),
        ([(b"retry-after-ms", b"soon"), (b"retry-after", b"3")], 3.0),
        ([DATE, (b"retry-after", b"Wed, 21 Oct 2026 07:28:30 GMT")], 30.0),
        ([DATE, (b"retry-after", b"Wed, 21 Oct 2026 07:27:30 GMT")], 0.0),
        ([(b"retry-after", b"Wed, 21 Oct 2026 07:28:30 GMT")], None),
        ([DATE, (b"retry-after", b"tomorrow")], None),
        ([DATE, (b"retry-after", b"\xff\xfe")], None),
        ([(b"retry-after", b"-1")], None),
        ([(b"retry-after", b"1e9")], None),
        ([(b"retry-after", b"9" * 40)], None),
        ([(b"retry-after", b"")], None),
        ([], None),
    ],
)
def test_what_is_said(headers: list[tuple[bytes, bytes]], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds
