"""What may be wrong with the set-up of each kind of engine: one table a file."""
