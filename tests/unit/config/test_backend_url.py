"""Base URLs as people paste them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.backend_url import BackendUrl, parse_backend_url


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("http://127.0.0.1:8001", "http://127.0.0.1:8001"),
        ("http://127.0.0.1:8001/", "http://127.0.0.1:8001"),
        ("http://127.0.0.1:8001/v1", "http://127.0.0.1:8001"),
        ("http://127.0.0.1:8001/v1/", "http://127.0.0.1:8001"),
        ("HTTP://GPU1.Example.com", "http://gpu1.example.com"),
        ("http://gpu1:80", "http://gpu1"),
        ("https://gpu1:443/a/v1", "https://gpu1/a"),
        ("https://gpu1:80", "https://gpu1:80"),
        ("https://gpu1/engines/v1/b", "https://gpu1/engines/v1/b"),
        ("http://[::1]:8001/v1", "http://[::1]:8001"),
        ("http://[::1]", "http://[::1]"),
        ("http://vllm_1:8000", "http://vllm_1:8000"),
        ("http://h/a%20b", "http://h/a%20b"),
    ],
)
def test_normalised(text: str, normal: str) -> None:
    assert str(parse_backend_url(text)) == normal
    assert str(parse_backend_url(normal)) == normal


def test_parts() -> None:
    assert parse_backend_url("https://[::1]/a/b/v1") == BackendUrl("https", "::1", 443, "/a/b")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no scheme"),
        ("gpu1", "has no scheme"),
        ("ftp://gpu1", "unknown scheme"),
        ("http://", "the host is missing"),
        ("http:///v1", "the host is missing"),
        ("http://:80", "the host is missing"),
        ("http://h:0", "port 0 is not between 1"),
        ("http://h:x", "not a port number"),
        ("http://h:70000", "not between 1 and 65535"),
        ("http://h?a=b", "neither a query"),
        ("http://h/?", "neither a query"),
        ("http://h/#f", "neither a query"),
        ("http://u@h", "user name or password"),
        ("http://u:p@h", "user name or password"),
        ("http://h/a/../b", "not a plain prefix"),
        ("http://h//b", "not a plain prefix"),
        ("http://h/%zz", "not a plain prefix"),
        ("http://h/v1/chat/completions", "the URL of one route"),
        ("http://h/v1/embeddings", "the URL of one route"),
        ("http://h\r\nX: y", "printable ASCII"),
        ("http://bücher.example", "printable ASCII"),
        ("http://a b", "printable ASCII"),
        ("http://[::1", "not a URL"),
        ("http://h/v1/v1", "ends in /v1 twice"),
        ("http://h" + "a" * 3000, "longer than"),
    ],
)
def test_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_backend_url(text)


@pytest.mark.parametrize(
    "url", ["http://me:hunter2@h", "http://me:hun/ter2@h", "http://me:ter2#x@h", "me:hunter2@h:80"]
)
def test_a_password_is_never_echoed(url: str) -> None:
    with pytest.raises(ValueError, match="user name") as caught:
        parse_backend_url(url)
    assert "ter2" not in str(caught.value)


@given(st.text(max_size=40) | st.from_regex(r"https?://[a-z0-9.\[\]:@/%_?#-]{0,30}", fullmatch=True))
def test_any_text_is_a_url_or_a_refusal(text: str) -> None:
    try:
        url = parse_backend_url(text)
    except ValueError:
        return
    assert parse_backend_url(str(url)) == url
    assert not url.prefix.endswith("/")


@pytest.mark.parametrize("text", ["unix:/run/engine.sock", "unix:///run/engine.sock", "UNIX:/run/engine.sock"])
def test_a_unix_socket(text: str) -> None:
    url = parse_backend_url(text)
    assert (url.socket, url.host, url.prefix, str(url)) == (
        "/run/engine.sock",
        "localhost",
        "",
        "unix:/run/engine.sock",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("unix:engine.sock", "not the path of a socket"),
        ("unix:", "not the path of a socket"),
        ("unix:/run/", "not the path of a socket"),
        ("unix:/run/a b", "printable ASCII"),
        ("unix:/run/%2Fa", "printable ASCII"),
        ("unix:/run/a?b", "printable ASCII"),
        ("unix:/" + "a" * 107, "longer than 107"),
    ],
)
def test_what_is_no_socket(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_backend_url(text)
