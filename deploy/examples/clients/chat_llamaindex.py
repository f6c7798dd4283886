"""LlamaIndex: a whole answer and a stream.

    pip install llama-index-llms-openai-like
    TIDEGATE_URL=http://127.0.0.1:8080 python chat_llamaindex.py MODEL

`OpenAILike`, not `OpenAI`: that one looks every model up in a list of OpenAI's.
"""

import os
import sys

from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike

llm = OpenAILike(
    api_base=os.environ.get("TIDEGATE_URL", "http://127.0.0.1:8080") + "/v1",
    api_key=os.environ.get("TIDEGATE_API_KEY", "any"),
    model=sys.argv[1],
    is_chat_model=True,  # else /v1/completions is asked
    context_window=8192,  # it cannot ask for that: as the engine has it
    max_tokens=32,
    default_headers={"x-tidegate-class": "interactive"},
)
question = [ChatMessage(role="user", content="Name three rivers.")]
print("whole:", llm.chat(question).message.content)
print("stream:", "".join(piece.delta or "" for piece in llm.stream_chat(question)))
