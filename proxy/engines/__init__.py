"""Floor 1: one dialect per engine; what each engine does differently, as data. No sockets, no clock."""
