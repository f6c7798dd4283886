"""`tidegate bench`: load on any OpenAI-compatible URL, measured from outside, and what a run leaves on disk."""
