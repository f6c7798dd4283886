"""The same engine as a server of the OpenAI API."""
