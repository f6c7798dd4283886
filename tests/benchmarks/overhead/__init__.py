"""What the proxy costs, beside others."""
