"""Which vocabulary a model most likely speaks, told by its name; and what OpenAI's own files of vocabularies are.

Owns the names of model families as data. A name that is not here has no vocabulary: a wrong one counts worse than the
estimate, which learns.
"""

from typing import Final, NamedTuple

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
_EXACT: Final = {"gpt-4": "cl100k_base"}
BPE_SUFFIX: Final = ".tiktoken"


class BpeFile(NamedTuple):
    """A vocabulary as OpenAI publishes it: a line for each token, in base64, and its number."""

    sha256: str
    cached_as: str
    """Its name in tiktoken's cache: the SHA-1 of where it is published."""
    pattern: str
    """How text is cut before tokens are looked for."""
    vocabularies: tuple[str, ...]
    """Whose plain text it cuts."""


BPE_FILES: Final = (
    BpeFile(
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
        r"|\s+(?!\S)|\s",
        ("cl100k_base",),
    ),
    BpeFile(
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        "fb374d419588a4632f3f557e76b4b70aebbca790",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ("o200k_base", "gpt-oss"),
    ),
)
"""Those of which a name above speaks. Others of that form are not taken: their pattern is not known."""


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
