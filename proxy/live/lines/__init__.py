"""Lines of batches on their way through the proxy: fed while there is room, and given their results."""
