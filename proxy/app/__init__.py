"""Floor 4: composition roots; everything is put together here and nowhere else."""
