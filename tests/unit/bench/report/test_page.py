"""The page: it needs nothing else, and says nothing that it was not told to."""

import re
from pathlib import Path

from proxy.bench.promise import promise
from proxy.bench.report.document import document
from proxy.bench.report.inputs import read_inputs
from proxy.bench.report.page import page
from tests.support.bench_runs import made_up_run


def test_it_is_whole_and_loads_nothing(tmp_path: Path) -> None:
    text = page(document(read_inputs([made_up_run(tmp_path, loads=(1, 8), n=30)]), promise(""), "Ours"))
    assert text.startswith("<!doctype html>")
    assert not re.search(r"<script|<link|@import|src=", text)
    addresses = set(re.findall(r'(?:href|url)[=(]"?(?!#)([^")\s>]+)', text))
    assert all(address.startswith(("http://www.w3.org", "#")) for address in addresses)


def test_ids_of_its_pictures_do_not_clash(tmp_path: Path) -> None:
    text = page(document(read_inputs([made_up_run(tmp_path, loads=(1, 8), n=30)]), promise(""), "Ours"))
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)


def test_names_are_text(tmp_path: Path) -> None:
    run = made_up_run(tmp_path, n=5, server="<script>alert(1)</script>")
    text = page(document(read_inputs([run]), promise(""), "<b>"))
    assert "<script" not in text
    assert "<title>&lt;b&gt;</title>" in text
