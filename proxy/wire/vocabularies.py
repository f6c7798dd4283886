"""Which vocabulary a model most likely speaks, told by its name.

Owns the names of model families as data. A name that is not here has no vocabulary: a wrong one counts worse than the
estimate, which learns.
"""

# The first match counts; matched against the last part of the name in lower case ("Qwen/Qwen3-8B" → "qwen3-8b").
_FAMILIES = (
    ("gpt-oss", "gpt-oss"),
    ("gpt-3.5", "cl100k_base"),
    ("gpt-35", "cl100k_base"),
    ("gpt-4o", "o200k_base"),
    ("gpt-4.", "o200k_base"),
    ("gpt-4-", "cl100k_base"),
    ("gpt-5", "o200k_base"),
    ("chatgpt-4o", "o200k_base"),
    ("o1", "o200k_base"),
    ("o3", "o200k_base"),
    ("o4", "o200k_base"),
    ("text-embedding-", "cl100k_base"),
    ("qwen2", "qwen2"),
    ("qwen3", "qwen3"),
    ("deepseek-v3", "deepseek_v3"),
    ("phi-4", "phi4"),
    ("glm-4", "glm4"),
    ("kimi-k2", "kimi_k2"),
    ("olmo-2", "olmo2"),
)
_EXACT = {"gpt-4": "cl100k_base"}


def vocabulary_of(model: str) -> str | None:
    """The vocabulary's name in the tokenizer library; None: not known."""
    name = model.rpartition("/")[2].lower()
    if name in _EXACT:
        return _EXACT[name]
    for family, vocabulary in _FAMILIES:
        if name == family or (name.startswith(family) and _ends_word(family, name)):
            return vocabulary
    return None


def _ends_word(family: str, name: str) -> bool:
    """`o1-mini` is of the family `o1`, `o1x` is not."""
    return not family[-1].isalnum() or not name[len(family)].isalpha()
