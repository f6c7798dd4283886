"""Floor 1: decisions. No I/O, no clock: `now` (monotonic seconds) and randomness are arguments."""
