"""What recorded traffic says of engines, and how far a forecast made of it is off."""
