"""Service level objectives: events, buckets, burn rates, and the rules that others read."""
