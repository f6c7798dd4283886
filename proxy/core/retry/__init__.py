"""What follows a failure, a delay or a silence."""
