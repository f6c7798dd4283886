"""What re-chunking of streams adds, and costs."""
