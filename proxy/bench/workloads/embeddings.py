"""Single texts to embed."""

from dataclasses import dataclass

from proxy.bench.asks import Ask, Session
from proxy.bench.text import prose, rng_of


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Texts of 20 to 300 tokens, one each."""

    name: str = "embeddings"
    total: int | None = None

    def session(self, seed: int, number: int) -> Session:
        """One request."""
        rng = rng_of(self.name, seed, number)
        return Session((Ask("embeddings", {"input": prose(rng, rng.randint(20, 300)), "encoding_format": "float"}),))
