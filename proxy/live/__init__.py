"""Floor 3: sockets, timers and tasks. Carries out what the core decides and the wire understands."""
