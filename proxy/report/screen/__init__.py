"""What `/status` tells (`obs/STATUS.md`), as lines for a terminal: for `tidegate status` and `tidegate top`.

Pure: document and size in, lines out; no clock, no terminal, no socket.
"""
