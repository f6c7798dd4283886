"""Which backend gets a job, within the limits."""
