"""Floor 2: what is told to the outside: metrics and log lines. Never a prompt, an answer or a key."""
