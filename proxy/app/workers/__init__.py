"""Several workers: the parent that starts them, and what each of them is."""
