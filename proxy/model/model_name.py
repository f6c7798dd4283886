"""Names of models as Ollama understands them: `llama3.2`, `llama3.2:latest` and `library/Llama3.2` are one model.

Owns the rules of that equality; other engines take a name as it stands.
"""

from typing import Final

_LATEST: Final = ":latest"
_HOST: Final = "registry.ollama.ai/"
_NAMESPACE: Final = "library/"


def canonical(name: str) -> str:
    """The same for all names of one model: no defaults of host and namespace, a tag, no capitals."""
    folded = name.lower().removeprefix(_HOST)
    if folded.count("/") == 1:
        folded = folded.removeprefix(_NAMESPACE)
    return folded if ":" in folded.rpartition("/")[2] else folded + _LATEST


def twin(name: str) -> str:
    """The name with the tag that is meant where none is written, or without it; the name itself where it has another
    tag."""
    if name.endswith(_LATEST):
        return name.removesuffix(_LATEST)
    return name if ":" in name.rpartition("/")[2] else name + _LATEST
