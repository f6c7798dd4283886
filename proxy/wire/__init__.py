"""Floor 1: bytes ↔ meaning. Pure functions and small state machines over bytes; no sockets, no clock."""
