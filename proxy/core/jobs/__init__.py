"""Open jobs: their attempts, the holds, and what is learned of them."""
