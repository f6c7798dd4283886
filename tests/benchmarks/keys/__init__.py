"""What looking at an API key costs."""
