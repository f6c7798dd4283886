"""What is known and learned of backends, by what they did."""
