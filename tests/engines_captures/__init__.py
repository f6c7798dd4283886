"""Answers of real engines, byte for byte as they came over the wire: head, chunk framing and all.

vLLM 0.33.0, llama.cpp 0.5.0-dev and transformers serve 5.23.0, each with a tiny random-weight model.
"""
