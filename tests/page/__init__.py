"""The admin port's page in a real browser. Skipped, loudly, where there is no Chromium."""
