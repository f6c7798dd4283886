"""The loads that can be asked for by name: what their requests say, how long their answers are, who waits for whom."""
