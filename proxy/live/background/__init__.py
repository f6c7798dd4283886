"""What runs beside requests: probes, scrapes, memory, what flows."""
