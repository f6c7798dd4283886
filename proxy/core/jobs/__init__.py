"""Open jobs: tickets, attempts, holds, and the books that are kept of them."""
