"""What the integration tests stand on: a scripted engine, the proxy in its own process, a raw client, a leak probe."""
