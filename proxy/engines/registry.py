"""All kinds of engines that are known. A new one is its own file, and one line here."""

from typing import Final

from proxy.engines.anthropic import ANTHROPIC
from proxy.engines.base import Dialect
from proxy.engines.llama_cpp import LLAMA_CPP
from proxy.engines.lmdeploy import LMDEPLOY
from proxy.engines.ollama import OLLAMA
from proxy.engines.openai import OPENAI
from proxy.engines.sglang import SGLANG
from proxy.engines.tensorrt_llm import TENSORRT_LLM
from proxy.engines.tgi import TGI
from proxy.engines.transformers import TRANSFORMERS
from proxy.engines.vllm import VLLM

_ALL = (VLLM, SGLANG, TGI, LLAMA_CPP, OLLAMA, TRANSFORMERS, LMDEPLOY, TENSORRT_LLM, ANTHROPIC, OPENAI)
DIALECTS: Final[dict[str, Dialect]] = {dialect.kind: dialect for dialect in _ALL}
UNKNOWN: Final = OPENAI
"""What an engine is taken for that did not tell."""
