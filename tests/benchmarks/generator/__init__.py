"""What the load generator of `tidegate bench` can hold, and whether its times are right."""
