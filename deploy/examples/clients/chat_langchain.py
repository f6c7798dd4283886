"""LangChain: a whole answer, a stream, structured output and vectors.

    pip install langchain-openai
    TIDEGATE_URL=http://127.0.0.1:8080 python chat_langchain.py MODEL [EMBEDDING-MODEL]
"""

import os
import sys

from langchain_openai import ChatOpenAI, OpenAIEmbeddings

url = os.environ.get("TIDEGATE_URL", "http://127.0.0.1:8080") + "/v1"
key = os.environ.get("TIDEGATE_API_KEY", "any")
model = sys.argv[1]

chat = ChatOpenAI(
    base_url=url,
    api_key=key,
    model=model,
    max_tokens=32,
    stream_usage=True,
    default_headers={"x-tidegate-class": "interactive"},
)
print("whole:", chat.invoke("Name three rivers.").content)
pieces = list(chat.stream("Name three rivers."))
print("stream:", "".join(piece.content for piece in pieces))
print("tokens:", sum(piece.usage_metadata["output_tokens"] for piece in pieces if piece.usage_metadata))

if len(sys.argv) > 2:
    # Texts as they are: without check_embedding_ctx_length=False it sends token numbers of OpenAI's vocabulary, which
    # mean something else to another model.
    vectors = OpenAIEmbeddings(base_url=url, api_key=key, model=sys.argv[2], check_embedding_ctx_length=False)
    print("vectors:", [len(vector) for vector in vectors.embed_documents(["a river", "a lake"])])
