"""Floor 3: a modelled engine and the two places it runs in, an HTTP server and a discrete-event world."""
