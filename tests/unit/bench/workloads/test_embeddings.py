"""Texts to embed: one a request, of the seed."""

from proxy.bench.workloads.embeddings import Embeddings


def test_one_text_a_request() -> None:
    asks = [Embeddings().session(1, number).asks[0] for number in range(50)]
    assert {ask.kind for ask in asks} == {"embeddings"}
    assert len({ask.fields["input"] for ask in asks}) == 50
    assert Embeddings().session(1, 3) == Embeddings().session(1, 3)
