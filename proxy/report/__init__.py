"""What a run is told with: its results, percentiles, tables, slices of time and comparisons."""
