"""Options as values."""

from pathlib import Path

from proxy.bench.options import Options


def options(**changes: object) -> Options:
    fields = {"argv": ("bench",), "urls": {"url": "http://127.0.0.1:1"}, "workload": ("short-chat",), "loads": (),
              "out": Path("out")}  # fmt: skip
    return Options(**{**fields, **changes})  # type: ignore[arg-type]


def test_two_targets_are_a_pair() -> None:
    assert not options().is_paired
    assert options(urls={"url": "http://a", "direct": "http://b"}).is_paired


def test_each_state_of_caches_has_a_folder_of_its_own() -> None:
    assert options().folder("as found") == Path("out")
    assert options(caches=("cold", "warm")).folder("warm") == Path("out/warm")
