"""What an engine would do: steps, batches, memory, speed; on a clock that is handed in."""
