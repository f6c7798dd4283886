"""What a prompt is made of: where requests stop sharing it, what is taken out of it, how named ones are built."""
