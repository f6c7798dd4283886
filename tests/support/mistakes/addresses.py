"""Mistakes with addresses, digests, dates and secrets."""

import random

from tests.support.mistakes.base import Base
from tests.support.mistakes.mistake import Kind, Mistake
from tests.support.mistakes.values import named, one_of, valued


def bad_url(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([one for one in named(base, "url", "endpoint") if one.is_scalar and "://" in one.text])
    scheme, _, rest = place.text.partition("://")
    whole, host = f"{scheme}://{rest}", rest.partition("/")[0].partition(":")[0]
    odd, *words = rng.choice(
        [
            (rest, "scheme", "http"),
            (f"htpp://{rest}", "http"),
            (f"http:/{rest}", "http://"),
            (f"http:{rest}", "http://"),
            (f"http//{rest}", "http://"),
            (f"tcp://{rest}", "http"),
            (f"grpc://{rest}", "http"),
            (f"http://{host}:80800", "65535"),
            (f"http://{host}:port", "port"),
            (f"http://{host}:", "port", "colon"),
            (f"http://{host}/v1/chat/completions", "base URL", "route"),
            (f"http://user:pw@{host}", "api_key", "password"),
            (f"http://{host}?key=x", "query"),
            (f"http://{host} ", ""),
            (f"http://{host} :8000", "space", "URL"),
            (f"{whole},http://other:1", "one", "plain", "host", "port"),
            (f"http://{host}_:8000/ v1", "space"),
            (f"'[{whole}]({whole})'", "URL"),
            (f"<{whole}>", "http"),
            ("http://", "host"),
            ("http://:8000", "host"),
            (f"http://http://{rest}", "more than one"),
            ("${ENGINE_URL}", "secrets only", "value itself"),
        ]
    )
    if odd.strip() != odd:
        return None
    if place.name == "endpoint" and place.path[0] != "telemetry":
        return None
    return valued(base, place, odd, *words)


def bad_listener(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice(named(base, "listen", "admin"))
    port = place.text.rpartition(":")[2]
    odd, *words = rng.choice(
        [
            (port, f":{port}"),
            (f":{port}", f"0.0.0.0:{port}"),
            (f"'*:{port}'", f"0.0.0.0:{port}", f"127.0.0.1:{port}"),
            ("localhost", "localhost:"),
            (f"http://localhost:{port}", f"localhost:{port}"),
            ("127.0.0.1:80800", "65535"),
            ("127.0.0.1:-1", "port"),
            (f"127.0.0.1 {port}", f"127.0.0.1:{port}"),
            (f"127.0.0.1:{port}/", f"127.0.0.1:{port}"),
            (f"::1:{port}", f"[::1]:{port}"),
            ("127.0.0.1:http", "port"),
            (f"[127.0.0.1, {port}]", "host:port", "text"),
            (f"127.0.0.256:{port}", "address"),
        ]
    )
    made = valued(base, place, odd, *words)
    return made._replace(column=None) if odd.startswith("[") else made


def bad_digest(base: Base, rng: random.Random) -> Mistake | None:
    place = next((one for one in base.places if one.is_scalar and one.text.startswith("sha256:")), None)
    if place is None:
        return None
    odd = rng.choice(
        [
            "sha256:1234",
            "md5:d41d8cd98f00b204e9800998ecf8427e",
            "sk-abcdefghijklmnopqrstuvwx",
            "sha256:" + "g" * 64,
            "a" * 40,
        ]
    )
    return valued(base, place, odd, "tidegate key new", "digest")


def bad_date(base: Base, rng: random.Random) -> Mistake | None:
    if (place := one_of(rng, named(base, "expires"))) is None:
        return None
    odd = rng.choice(["01.02.2031", "2031-13-01", "2031-02-30", "never", "90d", "2031", "tomorrow", "2031/01/01"])
    return valued(base, place, odd, "2027-01-01")


def bad_network(base: Base, rng: random.Random) -> Mistake | None:
    if (place := one_of(rng, named(base, "from"))) is None:
        return None
    odd = rng.choice(["10.0.0.300", "10.0.0.0/33", "nginx", "0.0.0.0/0", "10.0.0.*"])
    made = base.with_value(place, f"[{odd}]")
    return Mistake(made, (place.line + 1,), ("10.0.0.0/8", "name the proxies"), place.value.start_mark.column + 2)


def secret_in_the_file(base: Base, rng: random.Random) -> Mistake | None:
    if (place := one_of(rng, named(base, "api_key"))) is None:
        return None
    return valued(base, place, "sk-abcdefghijklmnop", "environment", is_error=False)


def secret_not_there(base: Base, rng: random.Random) -> Mistake | None:
    if (place := one_of(rng, named(base, "api_key"))) is None:
        return None
    odd, *words = rng.choice(
        [
            ("${NOT_SET}", "NOT_SET"),
            ("${VLLM_KY}", "VLLM_KY"),
            ("${VLLM_KEY", "${"),
            ("${file:no/such.key}", "no/such.key", "file"),
            ("${}", "${"),
            ("${VLLM KEY}", "${"),
            ("${env:VLLM_KEY}", "${"),
            ("os.environ/VLLM_KEY", "${"),
            ("$VLLM_KEY", "${"),
            ("$(VLLM_KEY)", "${"),
            ("%VLLM_KEY%", "quotes", "${"),
        ]
    )
    made = valued(base, place, odd, *words)
    return made._replace(is_error=not odd.startswith(("os.", "$V", "$(", "%")))


KINDS: dict[str, Kind] = {
    "bad url": bad_url,
    "bad listener": bad_listener,
    "bad digest": bad_digest,
    "bad date": bad_date,
    "bad network": bad_network,
    "secret in the file": secret_in_the_file,
    "secret not there": secret_not_there,
}
